"""Real processes, as small as they come. On plain asyncio: that is what `xylem serve` runs on."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from xylem.cli.serve.child import Child, Member


def shell(script: str, stdin: bytes = b"") -> Member:
    return Member("it-0", "it", ["/bin/sh", "-c", script], dict(os.environ), stdin)


async def outcome(member: Member) -> tuple[int, list[str], list[str]]:
    lines: list[str] = []
    progress: list[str] = []
    child = await Child.start(member)
    return await child.run(lines.append, progress.append), lines, progress


def test_both_streams_are_read_by_lines_and_progress_is_told_apart() -> None:
    script = r"printf 'a\n'; printf 'b\r\n' >&2; printf '10%%\r20%%\r'; printf 'last, without an end'; exit 3"
    code, lines, progress = asyncio.run(outcome(shell(script)))
    assert code == 3
    assert lines == ["a", "b", "last, without an end"]
    assert progress == ["10%", "20%"]


def test_a_line_without_end_is_cut() -> None:
    _, lines, _ = asyncio.run(outcome(shell("head -c 100000 /dev/zero | tr '\\0' x")))
    assert sum(map(len, lines)) == 100000
    assert len(lines) > 1


def test_standard_input_is_what_the_member_says() -> None:
    assert asyncio.run(outcome(shell("cat", b"listen: here\n")))[1] == ["listen: here"]
    assert asyncio.run(outcome(shell("cat")))[1] == []


def test_a_signal_is_a_negative_code() -> None:
    assert asyncio.run(outcome(shell("kill -9 $$")))[0] == -signal.SIGKILL


def test_a_command_that_is_missing_leaks_nothing() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(outcome(Member("it-0", "it", ["/nowhere/at/all"], {})))
    assert len(os.listdir("/proc/self/fd")) == before


def test_its_own_children_end_with_it() -> None:
    # The grandchild holds the pipe: whoever waits for its end of file waits for ever.
    code, lines, _ = asyncio.run(asyncio.wait_for(outcome(shell("sleep 1000 & echo $!; exit 5")), PATIENCE_S))
    assert code == 5
    gone(int(lines[0]))


def test_it_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    parent = f"""
import asyncio, os, signal
from xylem.cli.serve.child import Child, Member
async def main():
    command = ["/bin/sh", "-c", "echo up; exec cat /dev/zero > /dev/null"]
    child = await Child.start(Member("it-0", "it", command, dict(os.environ)))
    up = asyncio.Event()
    running = asyncio.create_task(child.run(lambda line: up.set(), print))
    await up.wait()
    open({str(pid_file)!r}, "w").write(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", parent], cwd=Path(__file__).parents[4], timeout=30)
    assert ended.returncode == -signal.SIGKILL
    gone(int(pid_file.read_text()))


def gone(pid: int) -> None:
    """Waits for the end of a process that is not our child. Fails when it lives on."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], PATIENCE_S)[0], f"{pid} still runs"
    finally:
        os.close(descriptor)
