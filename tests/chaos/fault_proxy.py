"""Stands between services and NATS, and loses what it is told to lose."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

from tests.chaos.nats_frames import Frame, Frames

READ_BYTES = 1 << 16

Rule = Callable[[Frame], bool]


def nothing(_: Frame) -> bool:
    return False


def share(probability: float, seed: int, wanted: Callable[[str], bool]) -> Rule:
    """Loses messages on the wanted subjects with a probability."""
    rng = Random(seed)
    return lambda frame: wanted(frame.subject) and rng.random() < probability


def next_one(wanted: Callable[[str], bool]) -> Rule:
    """Loses the next message on a wanted subject, and no other."""
    left = [1]

    def rule(frame: Frame) -> bool:
        if left and wanted(frame.subject):
            left.pop()
            return True
        return False

    return rule


class FaultProxy:
    """`lose` decides over every message that a client publishes. `lost`: how many, by subject."""

    def __init__(self, server_port: int) -> None:
        self.lose: Rule = nothing
        self.lost: Counter[str] = Counter()
        self.port = 0
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Breaks every connection; new ones are welcome."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers |= {writer, to_server}
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._up(reader, to_server))
                    both.create_task(self._down(from_server, writer))
            except* OSError:
                pass
            finally:
                for each in (writer, to_server):
                    self._writers.discard(each)
                    each.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        while data := await reader.read(READ_BYTES):
            for frame in frames.feed(data):
                if self.lose(frame):
                    self.lost[frame.subject] += 1
                else:
                    writer.write(frame.data)
            await writer.drain()
        raise ConnectionResetError

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextmanager
def fault_proxy(server_port: int) -> Iterator[FaultProxy]:
    """A proxy that runs in a thread of its own."""
    proxy = FaultProxy(server_port)
    thread = threading.Thread(target=proxy._loop.run_forever, name="fault proxy")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy._open(), proxy._loop).result(5)
        yield proxy
        asyncio.run_coroutine_threadsafe(proxy._close(), proxy._loop).result(5)
    finally:
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join()
        proxy._loop.close()
