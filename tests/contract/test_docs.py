"""What the documentation names is there: files by their path, classes by the glossary's first column."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"])
FOLDERS = "services|shared|kernels|xylem|tools|compose|deploy|tests|docs|benchmarks|findings"
MADE_LATER = {"compose/.env", "benchmarks/results"}  # by whoever runs things


def classes() -> set[str]:
    files = (file for folder in ("services", "shared", "kernels", "xylem") for file in (ROOT / folder).rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{FOLDERS})/[\w./-]*\w)/?`", text)) - MADE_LATER
    linked = {target for target in re.findall(r"\]\(([\w./-]+)\)", text) if "://" not in target}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert [path for path in sorted(linked) if not (page.parent / path).exists()] == []


def test_the_glossary_names_classes_that_exist() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE))
    assert len(named) > 20
    assert named - classes() == set()
