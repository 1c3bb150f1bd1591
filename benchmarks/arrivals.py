"""When sessions begin: one after another at so many clients, or at random moments, whatever the server makes of it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress

from benchmarks.datasets import Ask, Session
from benchmarks.record import Record

Asking = Callable[[Ask, float], Awaitable[Record]]
"""Sends a request that was intended for a moment (time.perf_counter()), and waits for its end."""


async def play(session: Session, intended_s: float, asking: Asking) -> None:
    """A session to its end, or to its first error: nobody goes on from an answer that is missing."""
    with closing(session), suppress(StopIteration):
        asks = next(session)
        while True:
            records = await asyncio.gather(*(asking(ask, intended_s) for ask in asks))
            if not all(record.completed for record in records):
                return
            # Who has read an answer asks on at once: that is the moment the next request is intended for.
            intended_s = max(record.answer.end_s for record in records)
            asks = session.send([record.answer.text for record in records])


async def closed(sessions: Iterator[Session], num_clients: int, asking: Asking) -> None:
    """Each client plays one session after another, so a slow server is asked less."""

    async def client() -> None:
        for session in sessions:
            await play(session, time.perf_counter(), asking)

    async with asyncio.TaskGroup() as group:
        for _ in range(num_clients):
            group.create_task(client())


async def open_loop(sessions: Iterator[Session], rate: float, seed: int, asking: Asking) -> None:
    """Sessions begin as a Poisson process, `rate` of them a second: a slow server is asked as often as a fast one."""
    draw = random.Random(f"arrivals {seed}")
    due_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for session in sessions:
            due_s += draw.expovariate(rate)
            await asyncio.sleep(due_s - time.perf_counter())
            group.create_task(play(session, due_s, asking))
