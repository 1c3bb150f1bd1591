"""Clients that leave, clients that read slowly, several choices, and the bytes of a stream."""

import asyncio
import json
from typing import Any

import httpx

from tests.patience import PATIENCE_S
from xylem.services.gateway.http.server_sent_event import event
from xylem.shared.protocol import Accepted

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"


def test_event_bytes() -> None:
    assert event({"a": "ä\n"}) == 'data: {"a":"ä\\n"}\n\n'.encode()


async def test_stream_bytes(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/completions", json={"prompt": "x", "max_tokens": 1, "stream": True})
    first, second, done, rest = response.text.split("\n\n")
    chunk = json.loads(first.removeprefix("data: "))
    assert response.headers["cache-control"] == "no-cache"
    assert chunk["choices"] == [{"index": 0, "text": "w0 ", "finish_reason": None, "logprobs": None}]
    assert '"finish_reason":"length"' in second
    assert (done, rest) == ("data: [DONE]", "")


async def aborted(pipeline: Any, number: int) -> set[str]:
    return {(await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id for _ in range(number)}


async def test_leaving_a_stream_aborts_every_choice(gateway: Any, http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 1)

    pipeline.play = play
    async with http.stream("POST", PATH, json={**CHAT, "stream": True, "n": 3}) as response:
        await anext(response.aiter_lines())
    assert await aborted(pipeline, 3) == {g.request_id for g in pipeline.generates}
    await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)


async def test_leaving_before_the_first_token_aborts(gateway: Any, http: httpx.AsyncClient, pipeline: Any) -> None:
    started = asyncio.Event()

    async def play(g: Any) -> None:
        started.set()

    pipeline.play = play
    for stream in (False, True):
        request = asyncio.create_task(http.post(PATH, json={**CHAT, "stream": stream}))
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        request.cancel()
        assert await aborted(pipeline, 1) == {pipeline.generates[-1].request_id}
        await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)
        started.clear()


async def test_an_abort_that_came_too_early_is_repeated(http: httpx.AsyncClient, pipeline: Any) -> None:
    await pipeline.say(Accepted("cmpl-gone-0", 0, "scheduler-0", 7))
    assert await aborted(pipeline, 1) == {"cmpl-gone-0"}


async def test_text_for_nobody_is_aborted_once(gateway: Any, http: httpx.AsyncClient, pipeline: Any) -> None:
    await http.post(PATH, json=CHAT)
    done = pipeline.generates.pop()
    stray = type(done)(request_id="cmpl-stray-0", attempt=2, gateway="gw", detokenizer="")
    await pipeline.text(done, 5, [1], "x")
    await pipeline.text(stray, 0, [1], "x")
    await pipeline.text(stray, 1, [1], "x")
    await pipeline.say(Accepted("cmpl-last-0", 0, "scheduler-0", 7))
    assert [(await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id for _ in range(2)] == [
        "cmpl-stray-0",
        "cmpl-last-0",
    ]


async def test_a_reader_that_is_too_slow_is_given_up(gateway: Any, pipeline: Any) -> None:
    """The client sends its request and reads nothing at all."""
    played = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        offset = 0
        while pipeline.aborts.empty():
            await pipeline.text(g, offset, [1] * 100, "much text " * 2000)
            offset += 100
            await pipeline.bus.barrier()
        played.set()

    pipeline.play = play
    host, port = gateway.server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    data = json.dumps({**CHAT, "stream": True}).encode()
    writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (PATH.encode(), len(data)) + data)
    await asyncio.wait_for(played.wait(), PATIENCE_S)
    assert await aborted(pipeline, 1) == {pipeline.generates[0].request_id}
    await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)
    writer.close()


async def test_one_refused_choice_ends_the_request(gateway: Any, http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)
        if g.request_id.endswith("-1"):
            await pipeline.refuse(g, "queue_full")

    pipeline.play = play
    assert (await http.post(PATH, json={**CHAT, "n": 3})).status_code == 429
    assert {request_id[-1] for request_id in await aborted(pipeline, 2)} == {"0", "2"}
    assert len(gateway.context.request_states) == 0


async def test_too_many_open(serving: Any, pipeline: Any) -> None:
    begun = asyncio.Event()

    async def play(g: Any) -> None:
        begun.set()

    pipeline.play = play
    async with (
        serving(max_open_requests=2) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        first = asyncio.create_task(http.post(PATH, json=CHAT))
        await asyncio.wait_for(begun.wait(), PATIENCE_S)
        response = await http.post(PATH, json={**CHAT, "n": 2})
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert response.json()["error"]["type"] == "rate_limit_error"
        first.cancel()
        await asyncio.wait_for(service.context.request_states.idle(), PATIENCE_S)


async def test_too_large_for_the_bus(http: httpx.AsyncClient, bus: Any) -> None:
    response = await http.post("/v1/completions", json={"prompt": "x" * (bus.max_payload + 1)})
    assert response.status_code == 413
    assert str(bus.max_payload) in response.json()["error"]["message"]


async def test_pieces_that_came_together_leave_together(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        deltas = [pipeline.text(g, i, [i], f"w{i} ") for i in range(50)]
        await asyncio.gather(*deltas)
        await pipeline.text(g, 50, [], "", 1)

    pipeline.play = play
    response = await http.post(PATH, json={**CHAT, "stream": True})
    assert "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in response.text.split("\n\n")[:-2]
    ) == "".join(f"w{i} " for i in range(50))
