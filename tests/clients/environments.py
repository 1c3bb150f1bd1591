"""An environment per client, under one folder that outlives the run: a virtual environment, or a folder of npm's."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.clients.table import Client

CACHE = Path(tempfile.gettempdir()) / "xylem-clients"
CHECKS = Path(__file__).parent / "checks"
DONE = "installed.txt"  # written last, with what was asked for: an installation that was cut off is begun anew


class NotInstalled(Exception):
    """The message is what the installer said last."""


def command(client: Client, cache: Path = CACHE, *, fresh: bool = False) -> list[str]:
    """What runs the client's checks. fresh: the newest version is installed anew. Raises NotInstalled."""
    if client.language == "shell":
        return [sys.executable, str(CHECKS / f"{client.files[0]}.py")]
    folder = cache / client.name
    done, asked = folder / DONE, " ".join(client.packages)
    if fresh or not done.is_file() or done.read_text() != asked:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _install_node(client, folder) if client.language == "node" else _install_python(client, folder)
        done.write_text(asked)
    if client.language == "node":
        # Node looks for packages beside the file that imports them, and nowhere else.
        shutil.copytree(CHECKS, folder / "checks", dirs_exist_ok=True)
        return ["node", str(folder / "checks" / "run.mjs"), client.distribution, *client.files]
    return [str(_python_of(folder)), *running(client.distribution, client.files)]


def running(distribution: str, files: Sequence[str]) -> list[str]:
    """Arguments for a Python that has the client: the files register their checks, then all are run."""
    program = f"""
import sys
sys.path.insert(0, {str(CHECKS)!r})
from importlib.metadata import version
import checking, {", ".join(files)}
checking.run({distribution!r}, version({distribution!r}))
"""
    return ["-c", program]


def install_packages(folder: Path, language: str, packages: Sequence[str], *, node: str) -> list[Path]:
    """Installs packages for "node" (with this version of Node) or "python", unless they are there already.

    Returns the folders of their programs. Raises NotInstalled.
    """
    done, asked = folder / DONE, " ".join(packages)
    client = Client(folder.name, language, (*([node] if language == "node" else []), *packages), "", ())
    if not done.is_file() or done.read_text() != asked:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _install_node(client, folder) if language == "node" else _install_python(client, folder)
        done.write_text(asked)
    modules = folder / "node_modules"
    return [folder / "venv" / "bin"] if language == "python" else [modules / ".bin", modules / "node" / "bin"]


def _python_of(folder: Path) -> Path:
    return folder / "venv" / "bin" / "python"


def _install_python(client: Client, folder: Path) -> None:
    venv = str(folder / "venv")
    if uv := shutil.which("uv"):
        _run(uv, "venv", "--python", sys.executable, venv)
        _run(uv, "pip", "install", "--python", str(_python_of(folder)), *client.packages)
    else:
        _run(sys.executable, "-m", "venv", venv)
        _run(str(_python_of(folder)), "-m", "pip", "install", "--disable-pip-version-check", *client.packages)


def _install_node(client: Client, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("npm is missing")
    _run(npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *client.packages)


def _run(*arguments: str) -> None:
    ended = subprocess.run(arguments, capture_output=True, text=True, env=bare_environment())
    if ended.returncode != 0:
        raise NotInstalled((ended.stderr or ended.stdout).strip()[-500:])


def bare_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lead a client's Python to our packages, or a client elsewhere."""
    leading = ("PYTHON", "VIRTUAL_ENV", "OPENAI_", "ANTHROPIC_", "LITELLM_", "LANGCHAIN_", "LANGSMITH_", "XYLEM_")
    return {name: value for name, value in os.environ.items() if not name.startswith(leading)} | more
