"""An environment per peer, under one folder that outlives the run; peers that need the same share one."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

DONE = "installed.txt"  # written last: an installation that was cut off is begun anew


class NotInstalled(Exception):
    """The message is what the installer said last."""


def python_with(requirements: Sequence[str], without: Sequence[str], folder: Path) -> Path:
    """The interpreter of an environment that has them. without: what comes along and stands in the way.

    Raises NotInstalled.
    """
    asked = " ".join(requirements)
    venv = folder / f"venv-{zlib.crc32(asked.encode()):08x}"
    python = venv / "bin" / "python"
    if not (venv / DONE).exists():
        shutil.rmtree(venv, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(venv))
        _run("nice", "-n", "19", str(python), "-m", "pip", "install", "--disable-pip-version-check", *requirements)
        if without:
            _run(str(python), "-m", "pip", "uninstall", "--yes", *without)
        (venv / DONE).write_text(asked)
    return python


def bare_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lead another Python to our packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))} | more


def _run(*arguments: str) -> None:
    ended = subprocess.run(arguments, capture_output=True, text=True, env=bare_environment())
    if ended.returncode != 0:
        raise NotInstalled((ended.stderr or ended.stdout).strip()[-500:])
