import asyncio
import os
from collections.abc import Callable

import pytest

from tests.patience import PATIENCE_S
from xylem.cli.serve.child import Member
from xylem.cli.serve.keeper import Keeper, Phase, StartupFailure, is_crash


class Notes:
    """A watcher that remembers, and wakes up whoever waits for a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.changes: list[tuple[str, str]] = []
        self.crashes: list[bool] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def line(self, member: Member, text: str) -> None:
        self.lines.append(text)
        self._wake()

    def progress(self, member: Member, text: str) -> None:
        pass

    def ended(self, member: Member, *, crashed: bool) -> None:
        self.crashes.append(crashed)

    def changed(self, member: Member, state: str, detail: str) -> None:
        self.changes.append((state, detail))
        self._wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(condition)

    def _wake(self) -> None:
        async def wake() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.get_running_loop().create_task(wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def keeper(script: str, *, starting: bool = False) -> tuple[Keeper, Notes]:
    notes = Notes()
    member = Member("it-0", "it", ["/bin/sh", "-c", script], dict(os.environ))
    return Keeper(member, notes, Phase(starting=starting)), notes


def test_what_dies_is_started_again() -> None:
    async def story() -> None:
        it, notes = keeper("echo $$; exec cat /dev/zero > /dev/null")
        running = asyncio.create_task(it.run())
        await notes.until(lambda: len(notes.lines) == 1)
        os.kill(int(notes.lines[0]), 9)
        await notes.until(lambda: len(notes.lines) == 2)
        assert ("restarting", "killed by signal 9; starts again now") in notes.changes
        assert it.child is not None
        assert it.child.pid == int(notes.lines[1])
        await it.stop(5)
        await running
        assert it.child is None
        assert notes.changes[-1] == ("stopped", "")

    asyncio.run(story())


def test_an_error_during_the_start_up_is_final_and_quoted_without_its_log_prefix() -> None:
    async def story() -> None:
        it, notes = keeper("echo '2026-01-01 10:00:00,123 ERROR   it.it-0 no such model'; exit 1", starting=True)
        with pytest.raises(StartupFailure, match=r"^it-0 could not start, ended with exit code 1: no such model$"):
            await it.run()
        assert notes.lines

    asyncio.run(story())


def test_signals_during_the_start_up_are_borne_for_a_while() -> None:
    async def story() -> None:
        it, notes = keeper("echo up; kill -9 $$", starting=True)
        with pytest.raises(StartupFailure, match="killed by signal 9"):
            await it.run()
        assert notes.lines == ["up"] * 3

    asyncio.run(story())


def test_an_error_later_is_no_reason_to_give_up() -> None:
    async def story() -> None:
        it, notes = keeper("echo up; exit 1")
        running = asyncio.create_task(it.run())
        await notes.until(lambda: len(notes.lines) == 3)
        await it.stop(5)
        await running

    asyncio.run(story())


def test_a_missing_command_is_a_start_up_failure() -> None:
    async def story() -> None:
        it = Keeper(Member("it-0", "it", ["/nowhere/at/all"]), Notes(), Phase())
        with pytest.raises(StartupFailure, match="/nowhere/at/all can't be run"):
            await it.run()

    asyncio.run(story())


def test_who_ignores_sigterm_is_killed() -> None:
    async def story() -> None:
        it, notes = keeper("trap '' TERM; echo up; while :; do read line < /dev/zero; done")
        running = asyncio.create_task(it.run())
        await notes.until(lambda: "up" in notes.lines)
        await it.stop(0.2)
        await running
        assert "did not stop within 0.2 s and was killed" in notes.lines

    asyncio.run(story())


def test_stop_during_the_wait_for_a_restart_does_not_wait() -> None:
    async def story() -> None:
        it, notes = keeper("exit 1")
        running = asyncio.create_task(it.run())
        await notes.until(lambda: ("restarting", "ended with exit code 1; starts again in 1 s") in notes.changes)
        await it.stop(5)
        await running
        assert notes.changes[-1] == ("stopped", "")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("code", "crashed"), [(0, False), (1, True), (-6, True), (-11, True), (-7, True), (-9, False), (-15, False)]
)
def test_only_faults_of_its_own_are_crashes(code: int, crashed: bool) -> None:
    assert is_crash(code) is crashed
