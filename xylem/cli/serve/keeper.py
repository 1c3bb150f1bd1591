"""Keeps one member running until told to stop."""

import asyncio
import contextlib
import re
import signal
from dataclasses import dataclass, field
from typing import Protocol

from xylem.cli.serve.backoff import Backoff
from xylem.cli.serve.child import Child, Member

_LOG_PREFIX = re.compile(r"^\S+ \S+ (ERROR|CRITICAL)\s+\S+ ")  # of xylem.shared.runtime.service: time, level, name

START_ATTEMPTS = 3  # deaths by a signal that a start-up bears; an exit with an error it does not


class StartupFailure(Exception):
    """A member that could not start; the message is its own."""


class Watcher(Protocol):
    """Hears what the members do."""

    def line(self, member: Member, text: str) -> None:
        """The member said a line."""

    def progress(self, member: Member, text: str) -> None:
        """The member replaced its line of progress."""

    def changed(self, member: Member, state: str, detail: str) -> None:
        """The member is now starting, restarting or stopped."""

    def ended(self, member: Member, *, crashed: bool) -> None:
        """The member's process ended by itself. crashed: by a fault, and not by a signal that somebody has sent."""


@dataclass
class Phase:
    """Whether the whole is still starting; then a member that gives up ends it."""

    starting: bool = True


# Signals that a process gets for what it has done itself.
FAULTS = {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}


def is_crash(code: int) -> bool:
    """Whether an exit code is that of a crash."""
    return code > 0 or -code in FAULTS


def _ending(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


@dataclass
class Keeper:
    """One member, its running process if there is one, and the will to restart it."""

    member: Member
    watcher: Watcher
    phase: Phase
    child: Child | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Starts the member again and again until `stop`. Raises StartupFailure while the whole is starting."""
        backoff = Backoff()
        clock = asyncio.get_running_loop().time
        try:
            while not self._stopping.is_set():
                born_s = clock()
                self.child = child = await self._start()
                if self._stopping.is_set():
                    child.terminate()
                code = await child.run(self._on_line, self._on_progress)
                self.child = None
                if self._stopping.is_set():
                    break
                wait_s = backoff.after(clock() - born_s)
                if self.phase.starting and (code > 0 or backoff.early_deaths >= START_ATTEMPTS):
                    raise StartupFailure(self._last_words(child, code))
                when = f"in {wait_s:g} s" if wait_s else "now"
                self.watcher.changed(self.member, "restarting", f"{_ending(code)}; starts again {when}")
                self.watcher.ended(self.member, crashed=is_crash(code))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_s)
        finally:
            if self.child is not None:
                self.child.kill()
                self.child = None
            self._ended.set()
            self.watcher.changed(self.member, "stopped", "")

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after grace_s. Returns when the process is gone."""
        self._stopping.set()
        if self.child is not None:
            self.child.terminate()
        try:
            await asyncio.wait_for(self._ended.wait(), grace_s)
        except TimeoutError:
            self._on_line(f"did not stop within {grace_s:g} s and was killed")
            self.kill()
            await self._ended.wait()

    def kill(self) -> None:
        """SIGKILL now, and no restart."""
        self._stopping.set()
        if self.child is not None:
            self.child.kill()

    async def _start(self) -> Child:
        try:
            child = await Child.start(self.member)
        except OSError as error:
            raise StartupFailure(f"{self.member.command[0]} can't be run: {error}") from None
        self.child = child
        self.watcher.changed(self.member, "starting", "")
        return child

    def _on_line(self, text: str) -> None:
        self.watcher.line(self.member, text)

    def _on_progress(self, text: str) -> None:
        self.watcher.progress(self.member, text)

    def _last_words(self, child: Child, code: int) -> str:
        said = f": {_LOG_PREFIX.sub('', child.last_lines[-1])}" if child.last_lines else ""
        return f"{self.member.name} could not start, {_ending(code)}{said}"
