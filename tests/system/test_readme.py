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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader's: the environment that the two commands have made lies in .venv, not activated."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


ACTIVATE = ". .venv/bin/activate"


def test_the_first_block_prepares_a_terminal() -> None:
    assert RUNNABLE[0] == ("bash", f"{ACTIVATE} && pip install openai\n")


@pytest.mark.parametrize(("language", "code"), RUNNABLE[1:], ids=[code.split()[0] for _, code in RUNNABLE[1:]])
def test_a_block_runs(language: str, code: str, served: Served, checkout: Path) -> None:
    code = code.replace("http://127.0.0.1:8000", served.url).replace("xylem chat", f"xylem chat --url {served.url}")
    script = f"{ACTIVATE}\n{code}" if language == "bash" else f"{ACTIVATE}\npython - <<'END'\n{code}END\n"
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
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
