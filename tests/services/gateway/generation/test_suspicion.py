"""When a request is suspected to end executors, and when it is given up."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.generation.suspicion import Suspicion
from xylem.services.gateway.policy import AttemptPolicy, GatewayPolicy, SuspicionPolicy
from xylem.shared.protocol import Started

BODY = {"prompt": "Hi", "max_tokens": 5}
PATH = "/v1/completions"


@pytest.fixture
def policy() -> GatewayPolicy:
    return GatewayPolicy(attempts=AttemptPolicy(pauses_s=(0.01,) * 5))


@pytest.mark.parametrize(
    ("deaths", "suspected", "given_up"),
    [
        ([], False, False),
        ([(False, 0)], False, False),
        ([(False, 0), (False, 3)], True, False),
        ([(False, 0), (False, 4)], False, False),
        ([(False, 0)] * 3, True, False),
        ([(False, 0)] * 4, True, True),
        ([(True, 50)], True, False),
        ([(True, 50), (True, 0)], True, True),
        ([(True, 50), (True, 4)], True, False),
        ([(True, 50), (False, 0)], True, False),
        ([(False, 0), (False, 0), (True, 0)], True, True),
    ],
)
def test_deaths_weigh_by_their_kind(deaths: list[tuple[bool, int]], suspected: bool, given_up: bool) -> None:
    suspicion = Suspicion(SuspicionPolicy())
    for is_crash, num_new_tokens in deaths:
        suspicion.note_death(is_crash=is_crash, num_new_tokens=num_new_tokens)
    assert (suspicion.is_suspected, suspicion.is_given_up) == (suspected, given_up)


class Dying:
    """Attempts, each of which ends with the death of the executor that had begun it."""

    def __init__(self, gateway: Any, pipeline: Any, *, crashed: bool, num_deaths: int) -> None:
        self.gateway, self.pipeline = gateway, pipeline
        self.crashed, self.num_deaths = crashed, num_deaths
        self.suspected: list[bool] = []

    async def play(self, g: Any) -> None:
        self.suspected.append(g.suspected)
        pipeline = self.pipeline
        peer = pipeline.peers["executor"]
        await pipeline.accept(g)
        if len(self.suspected) > self.num_deaths:
            await pipeline.answer(g)
            return
        await pipeline.say(Started(g.request_id, g.attempt, "scheduler-0", peer.id, peer.epoch), g.gateway)
        back = asyncio.Event()
        self.gateway.directory.on_change(
            lambda presence, alive: back.set() if presence.epoch == peer.epoch + 1 and alive else None
        )
        await pipeline.beat("executor", state="bye", crashed=self.crashed)
        pipeline.peers["executor"] = msgspec.structs.replace(peer, epoch=peer.epoch + 1)
        await pipeline.beat("executor")
        await asyncio.wait_for(back.wait(), PATIENCE_S)


async def test_a_request_during_which_executors_crash_is_given_up(
    http: httpx.AsyncClient, gateway: Any, pipeline: Any
) -> None:
    dying = Dying(gateway, pipeline, crashed=True, num_deaths=99)
    pipeline.play = dying.play
    response = await http.post(PATH, json=BODY)
    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert "2 executors in a row died while they worked at it" in response.json()["error"]["message"]
    assert dying.suspected == [False, True]


async def test_executors_that_somebody_kills_cost_more_patience(
    http: httpx.AsyncClient, gateway: Any, pipeline: Any
) -> None:
    dying = Dying(gateway, pipeline, crashed=False, num_deaths=3)
    pipeline.play = dying.play
    response = await http.post(PATH, json=BODY)
    assert response.json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert dying.suspected == [False, False, True, True]
