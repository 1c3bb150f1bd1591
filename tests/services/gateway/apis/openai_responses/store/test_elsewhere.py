"""Two gateways: what one of them makes, the other one shows, tells, cancels, removes and goes on from."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import FinishReason, subjects
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import running

PATH = "/v1/responses"


def client_of(service: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{service.server.url}/v1", api_key="none", max_retries=0)


@pytest.fixture
async def pair(serving: Any) -> AsyncIterator[tuple[openai.AsyncOpenAI, openai.AsyncOpenAI]]:
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(serving(id=name, drain_s=0.0)) for name in ("gw-a", "gw-b")]
        a, b = [await stack.enter_async_context(client_of(service)) for service in services]
        yield a, b


@pytest.fixture
def gate(pipeline: Any) -> asyncio.Event:
    """The pipeline says two words, and the other three when this is set."""
    opened = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        await opened.wait()
        await pipeline.words(g, 2, 5, FinishReason.STOP)

    pipeline.play = play
    return opened


async def streamed(client: openai.AsyncOpenAI, identity: str, **more: Any) -> list[Any]:
    return [event async for event in await client.responses.retrieve(identity, stream=True, **more)]


async def test_one_that_has_ended(pair: Any, pipeline: Any) -> None:
    a, b = pair
    told = [event async for event in await a.responses.create(model="tiny", input="Hi", stream=True)]
    final = told[-1].response
    assert await ended(b, final.id) == final
    assert await streamed(b, final.id) == told  # made again from its order
    assert pipeline.generates[1].params.sampling.seed == pipeline.generates[0].params.sampling.seed
    assert await streamed(b, final.id, starting_after=4) == told[5:]
    assert len(pipeline.generates) == 2  # which was needed only once
    assert (await b.responses.cancel(final.id)).status == final.status
    items = [item async for item in b.responses.input_items.list(final.id)]
    assert items[0].content[0].text == "Hi"


async def ended(client: openai.AsyncOpenAI, identity: str) -> Any:
    """The response, when its record or its gateway say that it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await client.responses.retrieve(identity)).status in ("queued", "in_progress"):
            pass
    return found


async def stored(client: openai.AsyncOpenAI, identity: str) -> None:
    """Returns when another gateway finds the record of the response."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(openai.NotFoundError):
                await client.responses.retrieve(identity)
                return


async def test_one_that_runs_is_told_on(pair: Any, gate: asyncio.Event) -> None:
    a, b = pair
    queued = await a.responses.create(model="tiny", input="Hi", background=True)
    seen = []
    async for event in await b.responses.retrieve(queued.id, stream=True):
        seen.append(event)
        if event.type == "response.output_text.delta" and event.delta == "w1 ":
            assert (await b.responses.retrieve(queued.id)).status == "in_progress"
            rest = asyncio.create_task(streamed(b, queued.id, starting_after=event.sequence_number))
            gate.set()
    assert seen[-1].response.output_text == "w0 w1 w2 w3 w4 "
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert await rest == seen[seen.index(next(e for e in seen if getattr(e, "delta", "") == "w1 ")) + 1 :]
    assert await streamed(a, queued.id) == seen


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("background", [True, False])
async def test_cancel(pair: Any, pipeline: Any, *, background: bool) -> None:
    a, b = pair
    events = []
    async for event in await a.responses.create(model="tiny", input="Hi", stream=True, background=background):
        events.append(event)
        if getattr(event, "delta", "") == "w1 ":
            cancelled = await b.responses.cancel(events[0].response.id)
    assert (cancelled.status, cancelled.output_text) == ("cancelled", "w0 w1 ")
    assert events[-1].response.status == "cancelled"
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id
    # Its end is all that another gateway has of it: the model would not stop there again.
    assert [event.sequence_number for event in await streamed(b, cancelled.id)][-1] == len(events) - 1


@pytest.mark.usefixtures("gate")
async def test_remove_what_runs(pair: Any, pipeline: Any) -> None:
    a, b = pair
    queued = await a.responses.create(model="tiny", input="Hi", background=True)
    await b.responses.delete(queued.id)
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id
    for client in pair:
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(queued.id)


@pytest.mark.usefixtures("stopping")
async def test_remove_what_has_ended(pair: Any) -> None:
    a, b = pair
    response = await a.responses.create(model="tiny", input="Hi")
    await ended(b, response.id)
    await b.responses.delete(response.id)
    for client in pair:
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.delete(response.id)


@pytest.mark.usefixtures("stopping")
async def test_goes_on_from_one_of_the_other(pair: Any, pipeline: Any) -> None:
    a, b = pair
    first = await a.responses.create(model="tiny", input="One", instructions="Only now.")
    second = await b.responses.create(model="tiny", input="Two", previous_response_id=first.id)
    third = await a.responses.create(model="tiny", input="Three", previous_response_id=second.id)
    answer = {"role": "assistant", "content": "w0 w1 w2 "}
    asked = [{"role": "user", "content": word} for word in ("One", "Two", "Three")]
    assert json.loads(pipeline.generates[-1].messages) == [asked[0], answer, asked[1], answer, asked[2]]
    assert third.previous_response_id == second.id


@pytest.mark.usefixtures("gate")
async def test_nobody_goes_on_from_what_runs(pair: Any) -> None:
    a, b = pair
    queued = await a.responses.create(model="tiny", input="Hi", background=True)
    with pytest.raises(openai.BadRequestError, match="only a completed one"):
        await b.responses.create(model="tiny", input="More", previous_response_id=queued.id)
    await b.responses.delete(queued.id)


@pytest.mark.usefixtures("stopping")
async def test_not_stored(pair: Any) -> None:
    response = await pair[0].responses.create(model="tiny", input="One", store=False)
    for client in pair:
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)


@pytest.mark.usefixtures("stopping")
@pytest.mark.parametrize("identity", ["resp_" + "0" * 32, "*", "a.b", ">", "resp_ 1"])
async def test_nobodys(pair: Any, identity: str) -> None:
    await pair[0].responses.create(model="tiny", input="One")
    with pytest.raises(openai.NotFoundError):
        await pair[1].responses.retrieve(identity)


async def test_a_gateway_that_is_told_to_end_hands_on_what_it_could_not_finish(
    serving: Any, pipeline: Any, gate: asyncio.Event
) -> None:
    async with serving(id="gw-b") as other, client_of(other) as b:
        async with serving(id="gw-a", drain_s=0.0) as service, client_of(service) as a:
            queued = await a.responses.create(model="tiny", input="Hi", background=True, extra_body={"seed": 5})
            foreground = await a.responses.create(model="tiny", input="Ho", stream=True)
            created: Any = await anext(aiter(foreground))
            await stored(b, created.response.id)  # a stream may begin before its record is written
        gate.set()
        assert (await ended(b, queued.id)).output_text == "w0 w1 w2 w3 w4 "
        told = await streamed(b, created.response.id, starting_after=created.sequence_number)
        assert told[0].sequence_number == 1
        assert told[-1].response.output_text == "w0 w1 w2 w3 w4 "
        with suppress(httpx.HTTPError):
            await foreground.close()
    assert {g.params.sampling.seed for g in pipeline.generates if b"Hi" in g.messages} == {5}


async def test_what_another_gateway_has_adopted_is_left_to_it(serving: Any, gate: asyncio.Event) -> None:
    """As after a pause in which the others took it for dead: its readers go on with the new owner, and see nothing."""
    async with serving(id="gw-a") as old, serving(id="gw-b") as new, client_of(old) as a, client_of(new) as b:
        events: list[Any] = []
        async for event in await a.responses.create(model="tiny", input="Hi", stream=True, background=True):
            events.append(event)
            if getattr(event, "delta", "") == "w1 ":
                identity = events[0].response.id
                adopted = old.responses._memory.find_response(identity)
                await new.responses._adopt(*await new.responses.record_store.get_record(identity))
                old.responses.recheck()
                await asyncio.wait_for(adopted.run.ended(), PATIENCE_S)
                gate.set()
        assert events[-1].response.output_text == "w0 w1 w2 w3 w4 "
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert await streamed(b, identity) == events


async def test_a_bucket_that_is_gone_holds_nothing_up(pair: Any, bus: Bus, serving: Any) -> None:
    a, b = pair
    await bus._client.jetstream().delete_stream(subjects.bucket_stream(subjects.RESPONSES))
    told = [event async for event in await a.responses.create(model="tiny", input="Hi", stream=True)]
    assert told[-1].response.output_text == "w0 w1 w2 w3 w4 "
    assert await a.responses.retrieve(told[-1].response.id) == told[-1].response
    assert await streamed(a, told[-1].response.id) == told
    async with serving(id="gw-c"):  # which makes a new one
        later = await a.responses.create(model="tiny", input="Hi")
        assert await ended(b, later.id) == later


async def test_where_none_are_to_be_stored_another_gateway_has_none(serving: Any) -> None:
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(serving(id=name, response_store_bytes=0)) for name in ("gw-a", "gw-b")
        ]
        a, b = [await stack.enter_async_context(client_of(service)) for service in services]
        response = await a.responses.create(model="tiny", input="Hi")
        assert (await a.responses.retrieve(response.id)).output_text == response.output_text
        with pytest.raises(openai.NotFoundError):
            await b.responses.retrieve(response.id)
        assert (await b._client.get(str(b.base_url).replace("/v1/", "/ready"))).json() == {"status": "ready"}


@pytest.fixture
def without_store(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path, stores=False)
    server.start()
    yield server
    server.kill()


async def test_without_jetstream_they_live_as_long_as_their_gateway(
    gateway_settings: Any, fake_pipeline: Any, without_store: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    bus = await Bus.connect(without_store.url, "test", timeout_s=5)
    pipeline = fake_pipeline(bus)
    await pipeline.open()
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("gw-a", "gw-b"):
            service = GatewayService(gateway_settings(nats_url=without_store.url, id=name))
            await stack.enter_async_context(running(service))
            await service.context.request_states.ready()
            clients.append(await stack.enter_async_context(client_of(service)))
        a, b = clients
        response = await a.responses.create(model="tiny", input="Hi", background=True)
        assert (await ended(a, response.id)).output_text == "w0 w1 w2 w3 w4 "
        assert (await a.responses.create(model="tiny", input="Ho", previous_response_id=response.id)).output_text
        # It may be stored all the same: that of a server whose JetStream gave up, its disk being full, looks alike.
        with pytest.raises(openai.InternalServerError, match="no JetStream") as error:
            await b.responses.retrieve(response.id)
        assert error.value.status_code == 503
        with pytest.raises(openai.NotFoundError):
            await b.responses.retrieve("resp_1")  # which is nobody's id
        ready = await b._client.get(str(b.base_url).replace("/v1/", "/ready"))
        assert (ready.status_code, "no JetStream" in ready.json()["responses_not_stored"]) == (200, True)
        metrics = (await b._client.get(str(b.base_url).replace("/v1/", "/metrics"))).text
        assert "xylem_response_store_up 0.0" in metrics
        await a.responses.delete(response.id)
    await pipeline.close()
    await bus.drain()
    said = [record for record in caplog.records if "no JetStream" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.WARNING] * 2  # once for each gateway
