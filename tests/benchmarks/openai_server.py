"""A small server of OpenAI's streams, on a real socket, that says what a test tells it to, when it tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.stream import Target


class Reply:
    """An answer under way. Each write is a chunk of HTTP's."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def head(self, status: int = 200) -> None:
        self._writer.write(f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    async def write(self, piece: bytes) -> None:
        self._writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await self._writer.drain()

    async def event(self, event: dict[str, Any]) -> None:
        await self.write(f"data: {json.dumps(event)}\n\n".encode())

    async def text(self, *texts: str) -> None:
        """An event for each."""
        for text in texts:
            await self.event({"choices": [{"index": 0, "text": text, "finish_reason": None}]})

    async def usage(self, num_prompt: int, num_output: int, num_cached: int | None = None) -> None:
        usage: dict[str, Any] = {"prompt_tokens": num_prompt, "completion_tokens": num_output}
        if num_cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": num_cached}
        await self.event({"choices": [], "usage": usage})

    async def end(self) -> None:
        await self.write(b"data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")


Answering = Callable[[dict[str, Any], Reply], Awaitable[None]]


@asynccontextmanager
async def serving(answering: Answering, key: str = "") -> AsyncIterator[Target]:
    """Each connection brings one request; when `answering` returns, it is closed."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        num_bytes = int(head.lower().split("content-length:")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(num_bytes)) | {"head": head}
        try:
            await answering(body, Reply(writer))
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield Target(f"http://127.0.0.1:{port}", "fake", key)
