"""A data set played against a server, once, under one load."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.arrivals import closed, open_loop
from benchmarks.client import Client
from benchmarks.datasets import Ask, Dataset, Session
from benchmarks.record import Record


@dataclass(frozen=True)
class Pace:
    """Either so many clients (closed loop), or sessions a second (open loop)."""

    clients: int = 0
    rate: float = 0.0


@dataclass
class Run:
    """What has ended so far. stopped: by the user or by the clock, so that the rest is missing."""

    records: list[Record] = field(default_factory=list)
    sessions: int = 0
    wall_s: float = 0.0
    stopped: bool = False


async def run(
    client: Client,
    dataset: Dataset,
    *,
    num_sessions: int,
    pace: Pace,
    limit_s: float | None = None,
    seed: int,
    changed: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Plays sessions 0 to num_sessions - 1. SIGINT or limit_s stop it early; requests under way are then not counted.

    changed: told of each request and session that ends.
    """
    result = Run()

    async def asking(asked: Ask, intended_s: float) -> Record:
        record = await client.asking(asked, intended_s)
        result.records.append(record)
        changed(result)
        return record

    def counted(session: Session) -> Session:
        try:
            yield from session
        finally:
            result.sessions += 1
            changed(result)

    sessions = (counted(dataset.session(seed, number)) for number in range(num_sessions))
    playing = open_loop(sessions, pace.rate, seed, asking) if pace.rate else closed(sessions, pace.clients, asking)
    started_s = time.perf_counter()
    task = asyncio.create_task(playing)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await asyncio.wait({task}, timeout=limit_s)
        result.stopped = not task.done() or task.cancelled()
        task.cancel()
        await asyncio.wait({task})
        if not result.stopped:
            task.result()  # raises what went wrong on our side
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    result.wall_s = max([record.answer.end_s for record in result.records], default=time.perf_counter()) - started_s
    return result
