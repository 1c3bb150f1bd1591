"""`xylem serve` with all its processes, on the demonstration model."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S
from xylem.shared.runtime.ports import free_port

ROOT = Path(__file__).resolve().parents[4]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
MEMBERS = {f"{kind}-0" for kind in ("nats", "gateway", "tokenizer", "router", "scheduler", "executor", "detokenizer")}


class Serve:
    """The process, and what it says. Whoever waits for a line reads up to it."""

    def __init__(self, process: "subprocess.Popen[str]", state_file: Path) -> None:
        self.process = process
        self.said: list[str] = []
        self._state_file = state_file

    def until(self, text: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}:\n{''.join(self.said)}")

    def rest(self) -> str:
        """All that is left to say; the process has ended then."""
        assert self.process.stdout is not None
        self.said.extend(self.process.stdout)
        self.process.wait()
        return "".join(self.said)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self._state_file.read_text())  # type: ignore[no-any-return]

    @property
    def has_state(self) -> bool:
        return self._state_file.exists()


@contextmanager
def serve(folder: Path, *flags: str) -> Iterator[Serve]:
    state_file = folder / "state.json"
    command = [sys.executable, "-m", "xylem", "serve", "--port", "0", "--state-file", str(state_file), *flags]
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Serve(process, state_file)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def watched(pids: dict[str, int]) -> Iterator[dict[str, int]]:
    """A descriptor of each process that becomes readable when it has ended."""
    descriptors = {name: os.pidfd_open(pid) for name, pid in pids.items()}
    yield descriptors
    for descriptor in descriptors.values():
        os.close(descriptor)


def still_running(descriptors: dict[str, int], timeout_s: float) -> set[str]:
    """Waits until all have ended, and says who has not."""
    left = dict(descriptors)
    while left and (ended := select.select(list(left.values()), [], [], timeout_s)[0]):
        left = {name: descriptor for name, descriptor in left.items() if descriptor not in ended}
    return set(left)


def test_it_serves_restarts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serve(tmp_path) as it:
        curl = it.until("curl -s http")
        assert any(line.startswith("ready after ") for line in it.said)
        answer = json.loads(subprocess.run(["/bin/sh", "-c", curl], capture_output=True, timeout=60, check=True).stdout)
        assert "Paris" in answer["choices"][0]["message"]["content"]
        assert it.state["ready"] is True
        assert set(it.state["pids"]) == MEMBERS

        old = it.state["pids"]["tokenizer-0"]
        os.kill(old, signal.SIGKILL)
        it.until("tokenizer-0   | [restarting] killed by signal 9")
        it.until("tokenizer-0   | [ready]")
        assert it.state["pids"]["tokenizer-0"] != old
        chat = [sys.executable, "-m", "xylem", "chat", "--url", it.state["url"], "--temperature", "0"]
        questions = "What is the capital of Italy?\nWhat is 2 plus 3?\n"
        said = subprocess.run(
            chat, input=questions, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
        )
        assert (said.returncode, said.stderr) == (0, "")
        assert len(said.stdout.splitlines()) == 2

        with watched(it.state["pids"]) as processes:
            it.process.send_signal(signal.SIGTERM)
            text = it.rest()
            assert it.process.returncode == 0, text
            assert still_running(processes, 0) == set()
        assert "was killed" not in text
        assert not it.has_state


def test_sigkill_leaves_no_process(tmp_path: Path) -> None:
    with serve(tmp_path) as it:
        it.until("gateway-0     | [starting]")
        pids = it.state["pids"]
        assert set(pids) == MEMBERS
        with watched(pids) as processes:
            it.process.kill()
            assert still_running(processes, PATIENCE_S) == set()


def test_ctrl_c_while_starting_ends_it(tmp_path: Path) -> None:
    with serve(tmp_path) as it:
        it.until("gateway-0     | [starting]")
        with watched(it.state["pids"]) as processes:
            it.process.send_signal(signal.SIGINT)
            assert "stopping" in it.rest()
            assert still_running(processes, 0) == set()
        assert it.process.returncode == 0


def test_a_missing_model_is_said_once_and_ends_it(tmp_path: Path) -> None:
    with serve(tmp_path, "--model", str(tmp_path / "nowhere")) as it:
        text = it.rest()
        assert it.process.returncode == 1, text
        assert text.splitlines()[-1].startswith("xylem serve: ")
        assert f"there is no model folder {tmp_path / 'nowhere'}" in text.splitlines()[-1]


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with serve(tmp_path, "--port", str(port)) as it:
            text = it.rest()
    assert it.process.returncode == 2
    assert text.splitlines() == [
        f"xylem serve: can't listen on 127.0.0.1:{port}: Address already in use; choose another --port"
    ]
