"""Progress of an executor's start: a bar on a terminal, a line per quarter in a log."""

import logging
import sys
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)


class Shown(Protocol):
    """A context that is called with the work done and the whole."""

    def __enter__(self) -> "Shown": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __call__(self, done: int, total: int) -> None: ...


class Bar:
    """A bar on the terminal of stderr. amount: the column that says how much is done."""

    def __init__(self, task: str, amount: ProgressColumn) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(task, total=None)

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)


class Lines:
    """One log line at 0, 25, 50, 75 and 100 %."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._quarters = -1

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def __call__(self, done: int, total: int) -> None:
        quarters = 4 * done // total if total else 4
        if quarters > self._quarters:
            self._quarters = quarters
            log.info("%s: %d %%", self._task, 25 * quarters)


def loading_progress(name: str) -> Shown:
    """Returns the progress of loading weights, in bytes: a bar if stderr is a terminal, else log lines."""
    return _shown(f"loading {name}", DownloadColumn())


def capturing_progress(name: str) -> Shown:
    """Returns the progress of capturing CUDA graphs, one by one."""
    return _shown(f"capturing the steps of {name}", MofNCompleteColumn())


def _shown(task: str, amount: ProgressColumn) -> Shown:
    return Bar(task, amount) if sys.stderr.isatty() else Lines(task)
