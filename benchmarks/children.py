"""Processes under measurement: started, talked to, and ended."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class NotStarted(Exception):
    """The message is the end of what it logged."""


@contextmanager
def process(command: Sequence[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """A child that is ended with SIGTERM, and its log in the temporary folder. environment: beside this process's."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{_name(command)}-", suffix=".log", delete=False) as log:
        child = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()


class Talking:
    """A child that answers each line of JSON on its stdin with one on its stdout (peers/protocol.py)."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    def line(self) -> str:
        """Empty when the child has ended."""
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Raises NotStarted when the child ends instead of answering."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        answer = self.line()
        if not answer:
            raise NotStarted(f"ended with {self._child.wait()} while it was asked")
        return json.loads(answer)  # type: ignore[no-any-return]


@contextmanager
def talking(command: Sequence[str], environment: dict[str, str]) -> Iterator[Talking]:
    """Ready on entry. Raises NotStarted."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{_name(command)}-", suffix=".log", delete=False) as log:
        child = subprocess.Popen(
            command, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            side = Talking(child)
            if side.line() != "ready":
                raise NotStarted(Path(log.name).read_text()[-500:])
            yield side
        finally:
            child.send_signal(signal.SIGTERM)
            child.communicate()


def _name(command: Sequence[str]) -> str:
    """The module of `python -m MODULE ...`."""
    return command[2] if command[1] == "-m" else Path(command[0]).name
