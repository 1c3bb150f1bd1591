import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.patience import PATIENCE_S
from xylem.services.router.service import RouterService
from xylem.shared.protocol import GenerationParams, Presence, Refused, Tokenized, subjects
from xylem.shared.protocol.columns import pack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import running
from xylem.shared.runtime.settings import RouterSettings

MODEL = "router-test"


@pytest.fixture
async def service(nats_url: str) -> AsyncIterator[RouterService]:
    made = RouterService(RouterSettings(nats_url=nats_url, served_name=MODEL, id="r1", heartbeat_s=2, drain_s=5))
    async with running(made):
        yield made


def request(gateway: str, number: int = 0, size: int = 1) -> Tokenized:
    return Tokenized(
        request_id=f"r{number}",
        attempt=1,
        gateway=gateway,
        detokenizer="d",
        prompt_ids=pack([1] * size),
        params=GenerationParams(cache_salt="s"),
    )


async def show(service: RouterService, bus: Bus, name: str, *, waiting: int = 0, state: str = "ready") -> None:
    """Makes the router see a scheduler."""
    seen = asyncio.Event()
    service.directory.on_change(lambda peer, _: seen.set() if peer.id == name else None)
    here = Presence(kind="scheduler", id=name, epoch=1, model=MODEL, waiting=waiting, state=state)
    await bus.publish(subjects.presence("scheduler", name), here)
    await seen.wait()


async def listen(bus: Bus, gateway: str) -> "asyncio.Queue[Refused]":
    refused: asyncio.Queue[Refused] = asyncio.Queue()
    await bus.listen(subjects.gateway(gateway, "router"), Refused, refused.put)
    return refused


async def serve(bus: Bus, name: str) -> "asyncio.Queue[Tokenized]":
    taken: asyncio.Queue[Tokenized] = asyncio.Queue()
    await bus.answer(subjects.submit(MODEL, name), Tokenized, taken.put)
    return taken


async def test_the_request_is_passed_on_as_it_is(service: RouterService, bus: Bus) -> None:
    async with asyncio.timeout(PATIENCE_S):
        taken = await serve(bus, "s1")
        await bus.barrier()
        await show(service, bus, "s1")
        await bus.hand_over(subjects.route(MODEL), request("g"))
        assert await taken.get() == request("g")


async def test_the_next_scheduler_is_tried(service: RouterService, bus: Bus) -> None:
    async with asyncio.timeout(PATIENCE_S):
        taken = await serve(bus, "s2")
        await bus.barrier()
        await show(service, bus, "s1")  # there by its heartbeat, but nobody answers
        await show(service, bus, "s2", waiting=5)
        await bus.hand_over(subjects.route(MODEL), request("g"))
        assert (await taken.get()).request_id == "r0"


@pytest.mark.parametrize("state", ["none", "starting", "silent"])
async def test_without_a_scheduler_the_gateway_hears_at_once(
    service: RouterService, bus: Bus, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Bus.hand_over.__kwdefaults__ or {}, "timeout_s", 1000)
    async with asyncio.timeout(PATIENCE_S):
        refused = await listen(bus, "alone")
        await bus.barrier()
        if state != "none":
            await show(service, bus, "s1", state="ready" if state == "silent" else state)
        await bus.hand_over(subjects.route(MODEL), request("alone"))
        answer = await refused.get()
    assert (answer.request_id, answer.attempt, answer.code) == ("r0", 1, "unavailable")


async def test_a_slow_scheduler_does_not_hold_up_others(service: RouterService, bus: Bus) -> None:
    released = asyncio.Event()
    got: asyncio.Queue[str] = asyncio.Queue()

    async def slow(tokenized: Tokenized) -> None:
        got.put_nowait(tokenized.request_id)
        await released.wait()

    async with asyncio.timeout(PATIENCE_S):
        await bus.answer(subjects.submit(MODEL, "s1"), Tokenized, slow, concurrency=8)
        await bus.barrier()
        await show(service, bus, "s1")
        for number in range(3):
            await bus.hand_over(subjects.route(MODEL), request("g", number))
        assert {await got.get() for _ in range(3)} == {"r0", "r1", "r2"}
        released.set()
