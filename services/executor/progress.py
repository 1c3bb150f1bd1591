"""What a person sees while weights are loading: a bar on a terminal, a line per quarter in a log."""

import logging
import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)


class LoadingProgress(Protocol):
    """Called with what is done so far and the whole, in bytes, in a `with` block."""

    def __enter__(self) -> "LoadingProgress": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __call__(self, done: int, total: int) -> None: ...


class LoadingBar:
    """A bar on the terminal of stderr."""

    def __init__(self, name: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(f"loading {name}", total=None)

    def __enter__(self) -> "LoadingBar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)


class LoadingLines:
    """One log line at 0, 25, 50, 75 and 100 %."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._quarters = -1

    def __enter__(self) -> "LoadingLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def __call__(self, done: int, total: int) -> None:
        quarters = 4 * done // total if total else 4
        if quarters > self._quarters:
            self._quarters = quarters
            log.info("loading %s: %d %%", self._name, 25 * quarters)


def loading_progress(name: str) -> LoadingProgress:
    """The kind that fits where stderr goes."""
    return LoadingBar(name) if sys.stderr.isatty() else LoadingLines(name)
