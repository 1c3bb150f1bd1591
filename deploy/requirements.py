"""`python requirements.py PYPROJECT [EXTRA]`: what the distribution requires, one line each, for `pip install -r`.

So an image can install the packages before the sources are copied, and no list of them is kept twice.
"""

import re
import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extra: str = "") -> list[str]:
    """The dependencies, with those of an extra and of the extras that it names in turn."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(_of_extra(project, extra) if extra else [])]


def _of_extra(project: dict[str, object], extra: str) -> list[str]:
    own = re.compile(re.escape(str(project["name"])) + r"\[([\w-]+)\]")
    found: list[str] = []
    for line in project["optional-dependencies"][extra]:  # type: ignore[index]
        nested = own.fullmatch(line)
        found += _of_extra(project, nested[1]) if nested else [line]
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), *sys.argv[2:])) + "\n")
