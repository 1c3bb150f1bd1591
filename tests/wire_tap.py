"""A TCP proxy in front of a NATS server that writes down what a client sends, in the order of the wire."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

VERBS = re.compile(rb"(?:^|\r\n)(SUB|UNSUB|PUB|PING) ?([^\r\n]*)")


class WireTap:
    """`port` to connect to; `sent` are the client's commands so far, as (verb, first word)."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._bytes = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def clear(self) -> None:
        self._bytes.clear()

    @property
    def sent(self) -> list[tuple[str, str]]:
        commands = VERBS.findall(bytes(self._bytes))
        return [(verb.decode(), rest.split(b" ")[0].decode() if rest else "") for verb, rest in commands]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, record: bool) -> None:
        try:
            while data := await reader.read(65536):
                if record:
                    self._bytes += data
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        for pump in (self._pump(reader, up_writer, record=True), self._pump(up_reader, writer, record=False)):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["WireTap"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()
