"""Xylem as it is measured: its engine alone, and all of it behind its gateway."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.children import Talking, process, talking
from benchmarks.readiness import wait_until_ready
from benchmarks.stream import Target
from xylem.shared.runtime.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
READY_S = 180


@contextmanager
def bare_loop(model: str, dtype: str, flags: Sequence[str] = ()) -> Iterator[Talking]:
    """The engine in a process of its own (in_process.py, which knows the flags)."""
    command = [sys.executable, "-m", "benchmarks.in_process", "--model", model, "--dtype", dtype, *flags]
    with talking(command, {"PYTHONPATH": str(ROOT)}) as side:
        yield side


@contextmanager
def whole_system(model: str, dtype: str, flags: Sequence[str] = ()) -> Iterator[Target]:
    """`xylem serve`, which knows the flags."""
    port = free_port()
    where = ("--model", model, "--served-name", "bench", "--dtype", dtype, "--port", str(port))
    command = [sys.executable, "-m", "xylem", "serve", *where, *flags]
    with process(command, {"PYTHONPATH": str(ROOT)}) as child:
        wait_until_ready(child, port, timeout_s=READY_S)
        yield Target(f"http://127.0.0.1:{port}", "bench")
