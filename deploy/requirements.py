"""`python requirements.py PYPROJECT [EXTRA]`: what the distribution requires, one line each, for `pip install -r`.

So an image can install the packages before the sources are copied, and no list of them is kept twice.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extra: str = "") -> list[str]:
    """The dependencies, with those of an extra."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else [])]


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path(sys.argv[1]), *sys.argv[2:])) + "\n")
