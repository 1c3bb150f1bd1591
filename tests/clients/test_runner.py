"""Checks that fail are told as failed, by whatever way they fail."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.clients.__main__ import table_of
from tests.clients.environments import CHECKS, NotInstalled, bare_environment, command
from tests.clients.outcomes import Failure, Result, read, run_checks
from tests.clients.table import CLIENTS, Client

SOME = """
import checking
from checking import check, check_with_key, equal

@check
def good(): equal(1, 1)

@check
def bad():
    print("noise of a package")
    equal("Rome", "Paris")

@check_with_key
def locked(): equal(1, 1)
"""


def run_some(folder: Path, code: str, api_key: str = "", limit_s: float = 30) -> Result:
    """Checks of our own, run as those of a client are. pytest stands for its distribution: it is there."""
    (folder / "some.py").write_text(code)
    start = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(CHECKS)!r}]; import some, checking"
    (folder / "start.py").write_text(f"{start}; checking.run('some', '1.0')")
    return run_checks(
        "some", [sys.executable, str(folder / "start.py")], "http://127.0.0.1:1", api_key, limit_s=limit_s
    )


def test_what_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    result = run_some(tmp_path, SOME)
    assert (result.version, result.num_passed, result.skipped) == ("1.0", 1, ["locked"])
    [failure] = result.failures
    assert (failure.check, failure.reason) == ("bad", "Failed: 'Rome', not 'Paris'")
    assert not result.is_good


def test_a_key_unlocks_the_checks_that_need_one(tmp_path: Path) -> None:
    result = run_some(tmp_path, SOME, api_key="some key")
    assert (result.num_passed, result.skipped) == (2, [])


def test_a_crash_and_a_hang_are_failures(tmp_path: Path) -> None:
    crashed = run_some(tmp_path, "import nothing_of_this_name")
    assert "nothing_of_this_name" in crashed.failures[0].reason
    hanging = run_some(tmp_path, "import threading; threading.Event().wait()", limit_s=0.5)
    assert hanging.failures == [Failure("(the process)", "not done within 0.5 s")]


def test_a_long_reason_is_shortened(tmp_path: Path) -> None:
    result = run_some(tmp_path, SOME.replace('"Rome"', '"Rome" + " and\\n so on" * 999'))
    [failure] = result.failures
    assert failure.reason.startswith("Failed: 'Rome and")
    assert failure.reason.endswith("not 'Paris'")
    assert len(failure.reason) < 500


def test_nothing_told_is_not_good() -> None:
    assert not read("silent", "hello\n").is_good


def test_the_table_has_the_reasons() -> None:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(
        table_of([Result("a", "1.0", 3), Result("b", "2.0", 1, failures=[Failure("x", "[bold] not", "f:7")])])
    )
    text = console.export_text()
    assert "x: [bold] not f:7" in text


def test_what_cannot_be_installed_is_told(tmp_path: Path) -> None:
    client = Client("none", "python", (f"none @ {(tmp_path / 'nothing.whl').as_uri()}",), "none", ())
    with pytest.raises(NotInstalled, match=r"nothing\.whl"):
        command(client, tmp_path / "cache")


def test_clients_find_their_files_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for client in CLIENTS:
        for file in client.files:
            assert (CHECKS / (file if "." in file else f"{file}.py")).is_file(), file
    monkeypatch.setenv("PYTHONPATH", "/work")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere")
    assert not {"PYTHONPATH", "OPENAI_BASE_URL"} & bare_environment().keys()
