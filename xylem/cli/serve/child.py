"""One child process: started so that it can't outlive its parent, read line by line, stopped for certain."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

READ_BYTES = 65536
LONGEST_LINE = 8192
REMEMBERED_LINES = 20
LAST_WORDS_S = 1.0
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Member:
    """A process that should run. `name` is unique; `stdin` is what it is given to read, at most a pipe's buffer."""

    name: str
    kind: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""


def _leash() -> Callable[[], None] | None:
    """Returns what a child runs before exec so that the kernel kills it when this process dies, even by SIGKILL."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def leash() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return leash


def _filled_pipe(data: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


class Child:
    """A running process of a member."""

    def __init__(self, member: Member, process: asyncio.subprocess.Process, output: int) -> None:
        self.member = member
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._process = process
        self._output = output

    @classmethod
    async def start(cls, member: Member) -> "Child":
        """Raises OSError when the command can't be run."""
        stdin = _filled_pipe(member.stdin) if member.stdin else os.open(os.devnull, os.O_RDONLY)
        # Pipes of our own: asyncio's would make wait() wait for whoever has inherited them.
        output, writer = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *member.command,
                env=dict(member.environment),
                stdin=stdin,
                stdout=writer,
                stderr=writer,
                start_new_session=True,  # Ctrl-C reaches the parent only, which keeps the order of stopping
                preexec_fn=_leash(),
            )
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(stdin)
            os.close(writer)
        return cls(member, process, output)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, on_line: Callable[[str], None], on_progress: Callable[[str], None]) -> int:
        """Passes on what the process says until it ends; returns its exit code (negative: the signal).

        Lines that end in a carriage return are progress: each replaces the one before.
        """
        reading = asyncio.create_task(self._read(on_line, on_progress))
        try:
            code = await self._process.wait()
            self.kill()  # whatever it has started goes with it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(reading), LAST_WORDS_S)
        finally:
            reading.cancel()
        return code

    async def _read(self, on_line: Callable[[str], None], on_progress: Callable[[str], None]) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._output, "rb", buffering=0)
        )
        rest = ""
        try:
            while data := await reader.read(READ_BYTES):
                *pieces, rest = re.split(r"(\r?\n|\r)", rest + data.decode("utf-8", errors="replace"))
                for text, end in zip(pieces[::2], pieces[1::2], strict=True):
                    self._take(text, on_progress if end == "\r" else on_line)
                if len(rest) > LONGEST_LINE:
                    self._take(rest, on_line)
                    rest = ""
            self._take(rest, on_line)
        finally:
            transport.close()

    def _take(self, text: str, on_text: Callable[[str], None]) -> None:
        text = text.rstrip()
        if text:
            self.last_lines.append(text)
            on_text(text)

    def terminate(self) -> None:
        """Asks it to finish."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Ends it and everything it has started: it leads a process group of its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
