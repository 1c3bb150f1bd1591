"""The README's commands are run, and its promises about files and settings hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT, Served
from xylem.shared.runtime.settings import known_names

README = (ROOT / "README.md").read_text()
RUNNABLE = re.findall(r"```(bash|python) run\n(.*?)```", README, re.DOTALL)


def test_there_is_something_to_run() -> None:
    assert {language for language, _ in RUNNABLE} == {"bash", "python"}


@pytest.mark.parametrize(("language", "code"), RUNNABLE, ids=[code.split()[0] for _, code in RUNNABLE])
def test_a_block_runs(language: str, code: str, served: Served) -> None:
    code = code.replace("http://127.0.0.1:8000", served.url).replace("xylem chat", f"xylem chat --url {served.url}")
    program = ["bash", "-euo", "pipefail", "-c"] if language == "bash" else [sys.executable, "-c"]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    result = subprocess.run(
        [*program, code], capture_output=True, text=True, timeout=60, cwd=ROOT, env={"PATH": path, "HOME": "/tmp"}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip()
    assert '"error"' not in result.stdout


def test_ci_runs_what_the_readme_says() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert ".venv/bin/pip install -e '.[test]' && .venv/bin/pytest -n 2 --dist loadgroup\n" in README
    assert "pip\" install -q -e '.[test]'" in ci
    assert "\npytest -n 2 --dist loadgroup\n" in ci


def test_links_lead_somewhere_and_settings_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    for flag in re.findall(r"^\| `--([a-z-]+)`", README, re.MULTILINE):
        assert flag.replace("-", "_") in known_names(), flag
