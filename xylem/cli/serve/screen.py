"""A person sees a table while things start, then lines. Plain lines when nobody is looking.

Status goes to standard output, what the services say to standard error.
"""

import sys
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_STYLES = {"ready": "green", "starting": "yellow", "restarting": "red", "stopped": "dim"}


class Screen(Protocol):
    """Shows what `xylem serve` does."""

    def say(self, text: str) -> None:
        """A line of xylem itself."""

    def line(self, name: str, text: str) -> None:
        """A line of a member."""

    def progress(self, name: str, text: str) -> None:
        """A member's line of progress, which replaces the last one."""

    def state(self, name: str, state: str, detail: str) -> None:
        """A member's state has changed."""

    def settle(self) -> None:
        """The start is over: from now on there are only lines."""


class PlainScreen:
    """Lines only. A member's progress is not shown: it would be hundreds of lines in a file."""

    def __init__(self, width: int, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._width = width
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def line(self, name: str, text: str) -> None:
        self._err.write(f"{name:<{self._width}} | {text}\n")
        self._err.flush()

    def progress(self, name: str, text: str) -> None:
        pass

    def state(self, name: str, state: str, detail: str) -> None:
        self.line(name, f"[{state}]{' ' + detail if detail else ''}")

    def settle(self) -> None:
        pass


class LiveScreen:
    """A table of the members that is redrawn in place while they start; what they say scrolls by above it."""

    def __init__(self, names: list[str], console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._width = max(map(len, names))
        self._rows = dict.fromkeys(names, ("waiting", ""))
        # Redrawn on change, without rich's thread: this process forks.
        self._live: Live | None = Live(self._table(), console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def line(self, name: str, text: str) -> None:
        prefix = (f"{name:<{self._width}} ", "dim")
        self._console.print(Text.assemble(prefix, Text.from_ansi(text)), soft_wrap=True)

    def progress(self, name: str, text: str) -> None:
        self._show(name, self._rows[name][0], text)

    def state(self, name: str, state: str, detail: str) -> None:
        if self._live is None and (detail or "restarting" in (state, self._rows[name][0])):
            self.line(name, f"{state}: {detail}" if detail else state)
        self._show(name, state, detail)

    def settle(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, name: str, state: str, detail: str) -> None:
        self._rows[name] = (state, detail)
        if self._live is not None:
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, (state, detail) in self._rows.items():
            table.add_row(
                name, Text(state, style=_STYLES.get(state, "dim")), Text(detail, overflow="ellipsis", no_wrap=True)
            )
        return table


def screen_for(names: list[str]) -> Screen:
    """A live table at a terminal, plain lines elsewhere."""
    console = Console(highlight=False)
    return LiveScreen(names, console) if console.is_terminal else PlainScreen(max(map(len, names)))
