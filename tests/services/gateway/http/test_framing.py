"""Requests whose parts have no end or no proper form: each is answered, its connection closes, others are served."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from tests.patience import PATIENCE_S
from tests.services.gateway.http.raw_http import connected, error_of, parsed, post, session
from xylem.services.gateway.http.connection import Connection
from xylem.services.gateway.http.request_body import ChunkedBody
from xylem.services.gateway.policy import GatewayPolicy
from xylem.services.gateway.service import GatewayService

CHUNKED = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
BODY = json.dumps({"prompt": "a", "max_tokens": 1}).encode()
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)


async def answer_to_endless(gateway: GatewayService, start: bytes, part: bytes) -> tuple[int, bytes]:
    """Sends the part until the gateway has closed: status and body."""
    async with connected(gateway) as (reader, writer), asyncio.timeout(PATIENCE_S):
        reading = asyncio.create_task(reader.read())
        writer.write(start)
        block = part * (1 + 65536 // len(part))
        with suppress(ConnectionError):  # it lingers for a while only
            while not reading.done() and not writer.transport.is_closing():
                writer.write(block)
                await writer.drain()
        status, _, body = parsed(await reading)
    return status, body


ENDLESS: list[tuple[bytes, bytes, int]] = [
    (b"", b"A", 400),
    (b"GET /", b"a", 414),
    (b"GET /health HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n", 431),
    (b"GET /health HTTP/1.1\r\nhost: x\r\na: ", b"b", 431),
    (CHUNKED + b"\r\n", b"0", 400),
    (CHUNKED + b"\r\n1;", b"a", 400),
    (CHUNKED + b"\r\n", b"1;" + b"a" * 1000 + b"\r\n \r\n", 400),
    (CHUNKED + b"\r\n", b"1\r\n \r\n", 400),
    (CHUNKED + b"\r\n" + CHUNK + b"0\r\n", b"a: b\r\n", 431),
    (CHUNKED + b"\r\n" + CHUNK + b"0\r\n", b"a", 431),
    (CHUNKED + b"\r\n" + CHUNK + b"0\r\na: ", b"b", 431),
]


async def test_what_has_no_end_is_refused(monkeypatch: pytest.MonkeyPatch, gateway: GatewayService) -> None:
    lines_by_turn = count_lines(monkeypatch)
    for start, part, status in ENDLESS:
        answered, body = await answer_to_endless(gateway, start, part)
        assert answered == status, (start, part)
        error_of(body)
    assert max(lines_by_turn) <= 2 * GatewayPolicy().http.max_chunks_per_turn
    assert (await session(gateway, post(BODY)))[0] == 200


def count_lines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The work of each turn of the loop that reads a connection: lines of chunks and trailers looked at."""
    turns: list[int] = []
    read_held, take_line = Connection._read_held, ChunkedBody._take_line

    def read(connection: Connection) -> None:
        turns.append(0)
        read_held(connection)

    def take(body: ChunkedBody, data: bytes, start: int) -> int:
        turns[-1] += 1
        return take_line(body, data, start)

    monkeypatch.setattr(Connection, "_read_held", read)
    monkeypatch.setattr(ChunkedBody, "_take_line", take)
    return turns


async def test_others_are_served_between_the_turns_of_a_body_in_tiny_chunks(
    monkeypatch: pytest.MonkeyPatch, gateway: GatewayService
) -> None:
    lines_by_turn = count_lines(monkeypatch)
    content = BODY + b" " * 40_000
    async with connected(gateway) as (reader, writer), asyncio.timeout(PATIENCE_S):
        writer.write(CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in content) + b"0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
    assert parsed(head)[0] == 200
    num_turns = len([each for each in lines_by_turn if each])
    assert num_turns >= len(content) / GatewayPolicy().http.max_chunks_per_turn
    assert max(lines_by_turn) <= 2 * GatewayPolicy().http.max_chunks_per_turn


FRAMINGS: list[tuple[bytes, int]] = [
    (CHUNKED + b"content-length: 5\r\n\r\n" + CHUNK + b"0\r\n\r\n", 400),
    (CHUNKED + b"transfer-encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n", 400),
    (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"\r\n" + CHUNK + b"0\r\n\r\n", 400),
    (CHUNKED.replace(b"chunked", b"br") + b"\r\n" + CHUNK + b"0\r\n\r\n", 400),
    (CHUNKED + b"\r\nsize\r\n{}\r\n0\r\n\r\n", 400),
    (CHUNKED + b"\r\n2\r\n{}more\r\n0\r\n\r\n", 400),
    (CHUNKED + b"\r\n" + CHUNK + b"0\r\nno trailer\r\n\r\n", 400),
    (post(BODY, "/v1/completions", b"content-length: 2"), 400),
    (b"GET /health HTTP/1.1\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
    (b"GET /health HTTP/1.0\r\n\r\n", 200),
    (CHUNKED + b"connection: close\r\n\r\n" + CHUNK + b"0\r\n\r\n", 200),
    (CHUNKED + b"connection: close\r\n\r\n2;a=b\r\n{ \r\n" + b"%x\r\n" % (len(BODY) - 1) + BODY[1:]
     + b"\r\n0;c\r\ndigest: x\r\n\r\n", 200),
]  # fmt: skip


@pytest.mark.parametrize("packet_bytes", [1 << 16, 1])
async def test_malformed_framing_is_answered(gateway: GatewayService, packet_bytes: int) -> None:
    for request, status in FRAMINGS:
        async with connected(gateway) as (reader, writer), asyncio.timeout(PATIENCE_S):
            for i in range(0, len(request), packet_bytes):
                writer.write(request[i : i + packet_bytes])
                await asyncio.sleep(0)
            answered, headers, body = parsed(await reader.read())
        assert answered == status, (request, body)
        if status != 200:
            error_of(body)
            assert headers["connection"] == "close"


async def test_a_flood_of_pipelined_requests_is_answered_one_at_a_time(gateway: GatewayService) -> None:
    number = 500
    request = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" * number + b"GET /nowhere HTTP/1.1\r\nhost: x\r\n"
    _, _, rest = await session(gateway, request + b"connection: close\r\n\r\n")
    assert rest.count(b"HTTP/1.1 200 OK") == number - 1  # and one whose head `session` has taken off
    assert rest.count(b"HTTP/1.1 404 ") == 1


async def test_a_fault_in_a_body_ends_its_request_alone(gateway: GatewayService, pipeline: Any) -> None:
    async with connected(gateway) as (reader, writer), asyncio.timeout(PATIENCE_S):
        writer.write(CHUNKED + b"\r\n" + CHUNK)
        writer.write(b"nonsense\r\n")
        status, _, body = parsed(await reader.read())
    assert (status, error_of(body)["code"]) == (400, "invalid_request")
    assert pipeline.generates == []
    assert (await session(gateway, post(BODY)))[0] == 200
