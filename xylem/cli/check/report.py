"""All checks, as a table for a person and as plain lines for a file."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xylem.cli.check import machine, software
from xylem.cli.check.finding import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def findings(*, port: int) -> list[Finding]:
    """Everything that was looked at, in the order of the report."""
    memory = machine.memory()
    return [
        machine.python(),
        machine.system(),
        machine.processor(),
        *([memory] if memory else []),
        software.packages(),
        *software.torch(),
        software.nats(),
        machine.listening(port),
    ]


def report(*, port: int, console: Console | None = None) -> int:
    """Prints the findings; returns the exit code: 1 when something can't work."""
    console = console or Console(highlight=False)
    found = findings(port=port)
    if console.is_terminal:
        console.print(_table(found))
    else:
        for line in _lines(found):
            console.print(line, markup=False, soft_wrap=True)
    return int(any(finding.verdict == "fail" for finding in found))


def _table(found: Iterable[Finding]) -> Table:
    table = Table.grid(padding=(0, 2))
    for finding in found:
        detail = Text(finding.detail)
        if finding.advice:
            detail.append(f"\n{finding.advice}", style="italic")
        table.add_row(Text(finding.verdict, style=_STYLES[finding.verdict]), finding.subject, detail)
    return table


def _lines(found: Iterable[Finding]) -> Iterable[str]:
    for finding in found:
        advice = f" -> {finding.advice}" if finding.advice else ""
        yield f"{finding.verdict:<4} {finding.subject}: {finding.detail}{advice}"
