"""The compiler process seen from the executor: started, asked, and killed when it takes too long."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from xylem import IMPORT_PATH
from xylem.services.executor.structured_output.compile_messages import CompileReply, CompileRequest, encode_frame
from xylem.services.executor.structured_output.failures import GrammarFailed

STARTUP_S = 120.0  # it imports torch, on a machine that may be busy with weights


class CompilerProcess:
    """Runs one compiler process, and starts another when it has died. For one thread."""

    def __init__(
        self, model_path: Path, vocab_size: int, end_ids: Sequence[int], *, timeout_s: float, memory_bytes: int
    ) -> None:
        ends = msgspec.json.encode(list(end_ids)).decode()
        self._command = [
            sys.executable, "-m", "xylem.services.executor.structured_output.compiler_main",
            str(model_path), str(vocab_size), ends, str(memory_bytes),
        ]  # fmt: skip
        self._timeout_s = timeout_s
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
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        try:
            self._result(STARTUP_S)
        except (EOFError, OSError, TimeoutError):
            self.kill()
            raise GrammarFailed("the compiler of grammars can't be started", code="unavailable") from None

    def compile(self, kind: str, text: str) -> bytes:
        """Returns the compiled grammar as JSON. Raises GrammarFailed."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode_frame(CompileRequest(kind, text)))
            self._process.stdin.flush()
            result = self._result(self._timeout_s)
        except TimeoutError:
            self.kill()
            raise GrammarFailed(f"the {kind} takes too long to compile") from None
        except (EOFError, OSError):
            code = self.kill()
            # Killed from outside, such as by a system without memory; all other deaths are the grammar's doing.
            if code in (-signal.SIGKILL, -signal.SIGTERM):
                raise GrammarFailed("the compiler of grammars died", code="unavailable") from None
            raise GrammarFailed(f"the {kind} needs too much memory or is nested too deeply") from None
        if result.code:
            raise GrammarFailed(result.message, code=result.code)
        return result.compiled

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
