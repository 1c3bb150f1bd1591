import io

import pytest
from rich.console import Console

from xylem.cli.check import report as reporting
from xylem.cli.check.finding import Finding

GOOD = Finding("Python", "ok", "3.11")
BAD = Finding("nats-server", "fail", "missing", "install [it]")


def shown(*, terminal: bool) -> tuple[str, int]:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=80, highlight=False, color_system=None)
    code = reporting.report(port=8000, console=console)
    return written.getvalue(), code


def test_plain_lines_and_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "findings", lambda *, port: [GOOD, BAD])
    assert shown(terminal=False) == ("ok   Python: 3.11\nfail nats-server: missing -> install [it]\n", 1)
    text, code = shown(terminal=True)
    assert "install [it]" in text
    assert code == 1
    monkeypatch.setattr(reporting, "findings", lambda *, port: [GOOD])
    assert shown(terminal=False)[1] == 0


def test_this_machine_can_serve() -> None:
    found = reporting.findings(port=8000)
    assert [f for f in found if f.verdict == "fail"] == []
    assert {"Python", "Packages", "torch", "nats-server", "Port"} <= {f.subject for f in found}
