"""HTTP by hand: what no client library would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.patience import PATIENCE_S
from xylem.services.gateway.service import GatewayService


@asynccontextmanager
async def connected(
    gateway: GatewayService, *, limit: int = 1 << 16
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the gateway, aborted at the end whatever its state."""
    assert gateway.server is not None
    host, port = gateway.server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def post(body: bytes, path: str = "/v1/completions", *headers: bytes) -> bytes:
    """A whole request, the last one of its connection."""
    lines = [f"POST {path} HTTP/1.1".encode(), b"host: x", b"connection: close", *headers]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])


async def session(gateway: GatewayService, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Sends the bytes and reads until the gateway closes: status, headers, body."""
    async with connected(gateway) as (reader, writer):
        writer.write(request)
        return parsed(await asyncio.wait_for(reader.read(), PATIENCE_S))


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def error_of(body: bytes) -> dict[str, Any]:
    """The error in OpenAI's shape."""
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert all(type(error[key]) is str for key in ("message", "type", "code"))
    assert isinstance(error, dict)
    return error
