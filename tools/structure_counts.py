"""`python -m tools.structure_counts`: how large the tree is, and how its names and docstrings keep the house rules."""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("services", "shared", "kernels", "xylem")
FRAGMENTS = ("What", "Of", "Those", "Who", "As", "Whose", "Where", "How", "That")
MANY = 3  # classes that may share a bare verb as the name of a public method

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file, parsed. path: relative to the repository."""

    path: Path
    text: str
    tree: ast.Module


def sources() -> list[Source]:
    """Every Python file of the product. Links in xylem/ are not followed: each file counts once."""
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    own = [file for file in files if file.resolve() == file]
    texts = [(file, file.read_text(encoding="utf-8")) for file in own]
    return [Source(file.relative_to(ROOT), text, ast.parse(text)) for file, text in texts]


def documented(tree: ast.Module) -> Iterator[tuple[Documented, str]]:
    """Yields every module, class and function with its docstring, where it has one."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node, text


def fragments(found: list[Source]) -> list[str]:
    """Returns `path:line: docstring` of each docstring that opens with a fragment instead of a sentence."""
    return [
        f"{source.path}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for source in found
        for node, text in documented(source.tree)
        if text.split(" ", 1)[0] in FRAGMENTS
    ]


def repeated_classes(found: list[Source]) -> dict[str, list[Path]]:
    """Returns the class names that stand more than once, with their files."""
    places: dict[str, list[Path]] = defaultdict(list)
    for source in found:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(source.path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def common_verbs(found: list[Source]) -> dict[str, int]:
    """Returns the public methods named by one word on more than MANY classes, protocols' implementations included."""
    counts: Counter[str] = Counter()
    for source in found:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                counts.update(
                    {
                        each.name
                        for each in node.body
                        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                        and re.fullmatch("[a-z]+", each.name)
                        and not each.decorator_list
                    }
                )
    return {name: number for name, number in counts.most_common() if number > MANY}


def of_gateway(found: list[Source]) -> list[Source]:
    """Returns the files of the gateway."""
    return [source for source in found if source.path.parts[:2] == ("services", "gateway")]


def lines_with_any(found: list[Source]) -> list[str]:
    """Returns `path:line: text` of each line that says Any, comments and imports among them."""
    return [
        f"{source.path}:{number}: {line}"
        for source in found
        for number, line in enumerate(source.text.splitlines(), 1)
        if re.search(r"\bAny\b", line)
    ]


def main() -> None:
    """Prints all counts."""
    found = sources()
    functions = [n for s in found for n in ast.walk(s.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    num_documented = sum(1 for source in found for _ in documented(source.tree))
    incomplete = fragments(found)
    lines = {
        "files": len(found),
        "lines": sum(source.text.count("\n") for source in found),
        "files over 400 lines": sum(source.text.count("\n") > 400 for source in found),
        "functions": len(functions),
        "docstrings": num_documented,
        "docstrings that open with a fragment": f"{len(incomplete)} ({len(incomplete) / num_documented:.1%})",
        "class names that stand twice": ", ".join(repeated_classes(found)) or "none",
        "lines with Any in the gateway": len(lines_with_any(of_gateway(found))),
        f"one-word methods on more than {MANY} classes": ", ".join(f"{k} {v}" for k, v in common_verbs(found).items()),
    }
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in lines.items())
    if "--fragments" in sys.argv:
        sys.stdout.writelines(f"  {line}\n" for line in incomplete)


if __name__ == "__main__":
    main()
