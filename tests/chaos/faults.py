"""What can befall a process of a running system."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.serving import Served

HANG_S = 6.0  # longer than it takes to be taken for dead


@dataclass(frozen=True)
class Fault:
    """`strike` returns when the fault is over; its effects may last."""

    name: str
    strike: Callable[[Served, str], Awaitable[None]]


async def kill(served: Served, victim: str) -> None:
    os.kill(served.state["pids"][victim], signal.SIGKILL)


async def terminate(served: Served, victim: str) -> None:
    """As an operator restarts a service: it drains and exits, and its supervisor starts it again."""
    os.kill(served.state["pids"][victim], signal.SIGTERM)


async def hang(served: Served, victim: str) -> None:
    """It wakes up later, and believes that nothing has happened."""
    pid = served.state["pids"][victim]
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(HANG_S)
    finally:
        os.kill(pid, signal.SIGCONT)


KILL, TERMINATE, HANG = Fault("kill -9", kill), Fault("SIGTERM", terminate), Fault("SIGSTOP 6 s", hang)
