"""`xylem serve` as a real process with its children, for system tests."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xylem.shared.runtime.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
READY_S = 180


@dataclass
class Served:
    """A running system. `output` is all that it has printed so far."""

    url: str
    state_file: Path
    process: "subprocess.Popen[str]"
    output: list[str] = field(default_factory=list)

    @property
    def state(self) -> dict[str, Any]:
        """What --state-file says: url, NATS url, process ids of each service."""
        return json.loads(self.state_file.read_text())  # type: ignore[no-any-return]


@contextmanager
def serving(
    folder: Path, *flags: str, environment: dict[str, str] | None = None, program: str = "xylem"
) -> Iterator[Served]:
    """Runs `xylem serve --port FREE *flags`; ready on entry, stopped by SIGTERM on exit. program: a module."""
    port = free_port()
    state_file = folder / f"serve-{port}.json"
    command = [sys.executable, "-m", program, "serve", "--port", str(port), "--state-file", str(state_file), *flags]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    served = Served(f"http://127.0.0.1:{port}", state_file, process)
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            served.output.append(line)
            if "curl" in line:  # printed last, once everything is ready
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(READY_S), "not ready:\n" + "".join(served.output)
        assert process.poll() is None, "ended:\n" + "".join(served.output)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            reader.join()
            assert process.stdout is not None
            process.stdout.close()
        refused = [line for line in served.output if "may not do what it tried" in line]
        assert not refused, "the table of permissions lacks something: " + "".join(refused)
