"""Clients that stall, lie about lengths, leave, or read nothing: none holds anything for long, others are served."""

import asyncio
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.services.gateway.http.raw_http import connected, error_of, parsed, post, session
from xylem.services.gateway.policy import GatewayPolicy, HttpPolicy
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import FinishReason, Generate

TIMEOUT_S = 1.0
STREAM = b'{"prompt": "a", "stream": true, "max_tokens": 100}'


async def assert_serving(gateway: GatewayService) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await gateway.context.request_states.idle()
    assert len(gateway.context.request_states) == 0
    assert (await session(gateway, post(b'{"prompt": "a"}')))[0] == 200


@pytest.mark.parametrize(
    ("start", "trickle"),
    [
        (b"P", b""),
        (b"POST /v1/completions HTTP/1.1\r\nhost: x", b"x"),
        (post(b'{"prompt": "a"}')[:-1], b""),
        (b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{", b" "),
        (b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", b"1\r\n \r\n"),
    ],
    ids=["one byte", "head", "body one byte short", "body", "chunks"],
)
async def test_a_request_that_never_ends_is_a_408(serving: Any, start: bytes, trickle: bytes) -> None:
    async with serving(client_timeout_s=TIMEOUT_S) as gateway, connected(gateway) as (reader, writer):

        async def drip() -> None:
            while trickle:
                writer.write(trickle)
                await asyncio.sleep(TIMEOUT_S / 5)

        writer.write(start)
        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(parsed(head)[1]["content-length"])
            body = await reader.readexactly(size)
            dripping.cancel()
            assert await reader.read() == b""  # closed
        assert parsed(head)[0] == 408
        assert error_of(body)["code"] == "request_timeout"
        await assert_serving(gateway)


async def test_what_follows_a_refused_body_does_not_hold_the_connection(serving: Any) -> None:
    async with (
        serving(client_timeout_s=TIMEOUT_S, max_body_bytes=10) as gateway,
        connected(gateway) as (reader, writer),
    ):
        writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
        async with asyncio.timeout(PATIENCE_S):
            assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
            await reader.read()


async def test_a_client_that_leaves_in_the_middle_of_its_body(gateway: GatewayService) -> None:
    async with connected(gateway) as (_, writer):
        writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{" + b" " * 5000)
        await writer.drain()
    await assert_serving(gateway)


async def test_a_client_that_leaves_its_stream(gateway: GatewayService, pipeline: Any) -> None:
    async def first_word_only(g: Generate) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 1)

    pipeline.play = first_word_only
    async with connected(gateway) as (reader, writer):
        writer.write(post(STREAM))
        await asyncio.wait_for(reader.readuntil(b"w0 "), PATIENCE_S)
    abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
    assert abort.request_id == pipeline.generates[0].request_id
    pipeline.play = pipeline.answer
    await assert_serving(gateway)


async def test_a_client_that_takes_nothing_of_its_stream(serving: Any, pipeline: Any) -> None:
    async def flood(g: Generate) -> None:
        """Fills the sockets' buffers first, then goes on in words."""
        await pipeline.accept(g)
        await pipeline.text(g, 0, [100], "x" * (7 << 20))
        await pipeline.words(g, 1, 9)

    async with serving(client_timeout_s=TIMEOUT_S) as gateway:
        pipeline.play = flood
        async with connected(gateway, limit=1 << 10) as (reader, writer):
            writer.write(post(STREAM))
            abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
            assert abort.request_id == pipeline.generates[0].request_id
            pipeline.play = pipeline.answer
            await assert_serving(gateway)
            assert b"[DONE]" not in await asyncio.wait_for(reader.read(), PATIENCE_S)


async def test_a_client_that_takes_its_stream_slowly_gets_all_of_it(serving: Any, pipeline: Any) -> None:
    async def much(g: Generate) -> None:
        await pipeline.accept(g)
        await pipeline.text(g, 0, [100], "x" * (7 << 20))  # takes longer than client_timeout_s
        await pipeline.text(g, 1, [101], "", FinishReason.LENGTH)

    pipeline.play = much
    async with serving(client_timeout_s=2) as gateway, connected(gateway, limit=1 << 18) as (reader, writer):
        writer.write(post(STREAM))
        num_bytes = 0
        while part := await asyncio.wait_for(reader.read(1 << 18), PATIENCE_S):
            num_bytes += len(part)
            last = part
            await asyncio.sleep(0.1)  # slower than the gateway, never silent
        assert num_bytes > 7 << 20
        assert b"[DONE]" in last


async def test_idle_connections_are_no_load_and_are_closed_in_the_end(serving: Any) -> None:
    async with serving(GatewayPolicy(http=HttpPolicy(keep_alive_s=1))) as gateway:
        assert gateway.server is not None
        opened = [connected(gateway) for _ in range(500)]
        pairs = [await one.__aenter__() for one in opened]
        await assert_serving(gateway)
        async with asyncio.timeout(PATIENCE_S):
            for reader, _ in pairs:
                assert await reader.read() == b""
        for one in opened:
            await one.__aexit__(None, None, None)
