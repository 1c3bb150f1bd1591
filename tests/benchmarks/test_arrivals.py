"""Who begins when: the order and the number of requests, under both kinds of load."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.arrivals import closed, open_loop
from benchmarks.client import Client
from benchmarks.datasets import Ask, Message, Session
from benchmarks.datasets.multi_turn import MultiTurn
from benchmarks.datasets.random_words import RandomWords
from benchmarks.figures import Goals, figures
from benchmarks.record import Record
from benchmarks.serving_run import Pace, run
from benchmarks.stream import Answer
from tests.benchmarks.openai_server import Reply, serving
from tests.patience import PATIENCE_S

NO_DATA = RandomWords(input=4, output=4)


def sessions(count: int) -> Iterator[Session]:
    return (NO_DATA.session(0, number) for number in range(count))


class Together:
    """Answers `size` requests at once, and none before they are there."""

    def __init__(self, size: int) -> None:
        self.intended_s: list[float] = []
        self.most_open = 0
        self._open = 0
        self._barrier = asyncio.Barrier(size)

    async def __call__(self, asked: Ask, intended_s: float) -> Record:
        self.intended_s.append(intended_s)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        await self._barrier.wait()
        self._open -= 1
        return Record(intended_s, Answer([intended_s], intended_s))


async def test_clients_take_turns() -> None:
    asking = Together(3)
    async with asyncio.timeout(PATIENCE_S):
        await closed(sessions(9), 3, asking)
    assert (len(asking.intended_s), asking.most_open) == (9, 3)


async def test_arrivals_do_not_wait_for_answers_and_are_due_when_they_were_drawn() -> None:
    """A million a second: no loop sends that soon, and what it is late by must count as waiting."""
    asking = Together(20)
    async with asyncio.timeout(PATIENCE_S):
        await open_loop(sessions(20), 1e6, 7, asking)
    draw = random.Random("arrivals 7")
    gaps_s = [draw.expovariate(1e6) for _ in range(20)]
    assert [b - a for a, b in pairwise(asking.intended_s)] == pytest.approx(gaps_s[1:], abs=1e-9)


class Gateway:
    """Counts requests under way, and answers with an echo of how many messages it was sent, three tokens an event."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._fail_at = fail_at

    async def __call__(self, body: dict[str, Any], reply: Reply) -> None:
        self.bodies.append(body)
        if len(self.bodies) - 1 == self._fail_at:
            await reply.head(503)
            await reply.write(b"{}")
            return
        await reply.head()
        prompt = body["prompt"]
        await reply.text(" one two three", f" {len(prompt)}")
        await reply.usage(len(prompt), 6, len(prompt) // 2)
        await reply.end()


async def test_a_run_counts_what_the_server_says() -> None:
    gateway = Gateway()
    async with serving(gateway) as target:
        ran = await run(
            Client(target, "ids", more={"ignore_eos": True}), RandomWords(input=10, output=6), num_sessions=7,
            pace=Pace(clients=2), seed=0,
        )  # fmt: skip
    found = figures(ran.records, ran.wall_s, Goals())
    assert (found.requests, found.completed, ran.sessions, ran.stopped) == (7, 7, 7, False)
    assert (found.output_tokens, found.prompt_tokens, found.cached_share) == (42, 70, 0.5)
    assert all(len(record.answer.arrivals_s) == 2 for record in ran.records)
    assert {len(body["prompt"]) for body in gateway.bodies} == {10}
    assert {(body["max_tokens"], body["ignore_eos"], body["stream"]) for body in gateway.bodies} == {(6, True, True)}


async def test_a_turn_waits_for_the_answer_before_and_carries_it() -> None:
    gateway = Gateway()
    async with serving(gateway) as target:
        ran = await run(Client(target, "completions"), MultiTurn(turns=3), num_sessions=1, pace=Pace(clients=4), seed=0)
    first, second, third = (body["prompt"] for body in gateway.bodies)
    assert second.startswith(f"{first} one two three {len(first)} user :")
    assert third.startswith(f"{second} one two three {len(second)} user :")
    records = ran.records
    assert all(after.intended_s == before.answer.end_s for before, after in pairwise(records))


async def test_a_session_ends_with_its_first_error_and_others_go_on() -> None:
    async with serving(Gateway(fail_at=1)) as target:
        ran = await run(Client(target, "completions"), MultiTurn(turns=3), num_sessions=2, pace=Pace(clients=1), seed=0)
    found = figures(ran.records, ran.wall_s, Goals())
    assert (found.requests, found.completed, found.errors, ran.sessions) == (5, 4, {"HTTP 503": 1}, 2)


async def test_a_server_that_is_later_has_the_longer_times() -> None:
    """Two delays that are known: the order of what is measured is theirs, and nothing is shorter than its delay."""

    async def answering(body: dict[str, Any], reply: Reply) -> None:
        first_s, between_s = (0.02, 0.0) if body["max_tokens"] == 1 else (0.0, 0.02)
        await reply.head()
        await asyncio.sleep(first_s)
        await reply.text(" a")
        await asyncio.sleep(between_s)
        await reply.text(" b")
        await reply.usage(3, 2)
        await reply.end()

    async with serving(answering) as target:
        client = Client(target)
        ask_late, ask_slow = (Ask((Message("user", "x"),), num_output) for num_output in (1, 2))
        late = await client.asking(ask_late, time.perf_counter())
        slow = await client.asking(ask_slow, time.perf_counter())
    assert late.ttft_s > 0.01  # half of the delay: clocks have steps, and whatever else runs can only lengthen it
    assert slow.gaps_s[0] > 0.01
    assert slow.per_token_s == slow.gaps_s[0]
    assert Goals(ttft_ms=10).kept(late) is False
    assert Goals(itl_ms=10).kept(slow) is False


async def test_a_run_that_is_interrupted_gives_what_there_is() -> None:
    answered = 0

    async def answering(body: dict[str, Any], reply: Reply) -> None:
        nonlocal answered
        if answered == 3:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()  # for ever, unless it is cancelled
        answered += 1
        await reply.head()
        await reply.text(" a")
        await reply.end()

    async with serving(answering) as target:
        ran = await run(Client(target), NO_DATA, num_sessions=9, pace=Pace(clients=1), seed=0)
    assert ran.stopped
    assert [record.completed for record in ran.records] == [True] * 3


async def test_a_run_has_its_limit() -> None:
    async def answering(body: dict[str, Any], reply: Reply) -> None:
        await asyncio.Event().wait()  # for ever, unless it is cancelled

    async with serving(answering) as target:
        ran = await run(Client(target), NO_DATA, num_sessions=9, pace=Pace(clients=1), limit_s=0.2, seed=0)
    assert ran.stopped
    assert ran.records == []
