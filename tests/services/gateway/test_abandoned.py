"""A request state that nobody waits for ends, whatever becomes of the cancellation of its task."""

import asyncio
from contextlib import suppress
from typing import Any, cast

from tests.patience import PATIENCE_S
from xylem.services.gateway.generation.output_queue import OutputQueue
from xylem.services.gateway.generation.request_state import CLOSED, Pipeline, RequestState
from xylem.services.gateway.policy import AttemptPolicy, SuspicionPolicy
from xylem.shared.protocol import Generate
from xylem.shared.runtime.errors import Unavailable


class Swallowing:
    """A pipeline whose hand-over answers instead of being cancelled, as wait_for of Python 3.11 does at times."""

    request_timeout_s = 5.0
    stall_timeout_s = 0.05

    def __init__(self) -> None:
        self.policy = AttemptPolicy()
        self.suspicion_policy = SuspicionPolicy()
        self.num_attempts = 0
        self.handing_over = asyncio.Event()
        self.aborted: list[int] = []

    async def ready(self) -> None:
        """Every stage is there."""

    def pick_detokenizer(self) -> tuple[str, int]:
        return "detokenizer-0", 1

    async def hand_over(self, generate: Generate) -> None:
        self.num_attempts += 1
        if self.num_attempts > 1:
            raise Unavailable("only the first is waited for")
        self.handing_over.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    def abort_attempt(self, request_id: str, attempt: int, scheduler: str) -> None:
        self.aborted.append(attempt)

    def remove_state(self, request_state: RequestState) -> None:
        """Nothing is kept of it."""


async def test_an_abandoned_state_ends_although_its_cancellation_was_swallowed() -> None:
    pipeline = Swallowing()
    generate = Generate(
        request_id="r-0",
        attempt=0,
        gateway="gateway-0",
        detokenizer="",
        prompt="Hi",
        messages=None,
        token_ids=None,
    )
    request_state = RequestState(cast("Pipeline", cast("Any", pipeline)), generate, 0, OutputQueue(8))
    task = asyncio.create_task(request_state.run_attempts())
    await pipeline.handing_over.wait()
    request_state.abandon()
    task.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await task
    assert pipeline.num_attempts == 1
    assert pipeline.aborted == [0]
    assert request_state.attempt == CLOSED
