"""The compiler process seen from the executor: started, asked, and killed when it takes too long."""

import contextlib
import os
import select
import subprocess
import sys
import time

import msgspec

from xylem import IMPORT_PATH
from xylem.services.executor.structured_output.compile_messages import (
    CompileReply,
    CompileRequest,
    CompilerStart,
    encode_frame,
)
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.memory_limit import TOO_MUCH

STARTUP_S = 120.0  # a machine may be busy with weights, and one engine imports torch


class CompilerStalled(Exception):
    """A compile has not ended in its time; its process was killed."""


class CompilerProcess:
    """Runs one compiler process, and starts another when it has died. For one thread."""

    def __init__(self, start: CompilerStart) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the compiler child, 0 if none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Starts a child, unless one is ready. Raises GrammarFailed when it can't be started."""
        if self._process is not None and self._process.poll() is None:
            return
        self.kill()
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(IMPORT_PATH), os.environ.get("PYTHONPATH", "")]),
        }
        command = [sys.executable, "-m", "xylem.services.executor.structured_output.compiler_main"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        try:
            self._send(self._start)
            self._result(STARTUP_S)
        except (EOFError, OSError, TimeoutError):
            self.kill()
            raise GrammarFailed("the compiler of grammars can't be started", code="unavailable") from None

    def compile(self, kind: str, text: str, timeout_s: float) -> tuple[str, bytes]:
        """Returns the engine and the compiled grammar. Raises GrammarFailed, and CompilerStalled after timeout_s.

        Only what the compiler says of the grammar is "invalid_request": of its death others may be guilty.
        """
        self.start()
        try:
            self._send(CompileRequest(kind, text))
            result = self._result(timeout_s)
            if result.loads:
                self._result(STARTUP_S)
                result = self._result(timeout_s)
        except TimeoutError:
            self.kill()
            raise CompilerStalled from None
        except (EOFError, OSError):
            if self.kill() == TOO_MUCH:
                raise GrammarFailed(f"the {kind} needs too much memory") from None
            raise GrammarFailed("the compiler of grammars died", code="unavailable") from None
        if result.code:
            raise GrammarFailed(result.message, code=result.code)
        return result.engine, result.compiled

    def stop(self) -> None:
        """Kills the child from another thread; the thread that waits for a reply sees it die."""
        process = self._process
        if process is not None:
            process.kill()

    def kill(self) -> int | None:
        """Ends the child and returns its exit code, or None if there was no child."""
        process, self._process = self._process, None
        if process is None:
            return None
        # A process that has died by itself closes its output a moment before it can be waited for.
        try:
            code = process.wait(0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        with contextlib.suppress(OSError):  # what had not been written yet
            process.stdin.close()
        return code

    def _send(self, message: CompilerStart | CompileRequest) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(encode_frame(message))
        self._process.stdin.flush()

    def _result(self, timeout_s: float) -> CompileReply:
        deadline_s = time.monotonic() + timeout_s
        size = int.from_bytes(self._read(4, deadline_s), "big")
        return msgspec.msgpack.decode(self._read(size, deadline_s), type=CompileReply)

    def _read(self, num_bytes: int, deadline_s: float) -> bytes:
        """Raises TimeoutError and EOFError."""
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        ready = select.poll()
        ready.register(out, select.POLLIN)
        data = bytearray()
        while len(data) < num_bytes:
            if not ready.poll(max(0.0, 1e3 * (deadline_s - time.monotonic()))):
                raise TimeoutError
            part = os.read(out, min(num_bytes - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)
