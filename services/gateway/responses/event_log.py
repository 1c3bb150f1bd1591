"""The events of one response, as bytes, for any number of readers that may begin anywhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from services.gateway.responses.events import Event
from services.gateway.stream import named_event


class EventLog:
    """Grows until it is closed. A log that does not record only drops what it is told: nobody will read it."""

    def __init__(self, *, records: bool) -> None:
        self.records = records
        self.num_bytes = 0
        self._events: list[bytes] = []  # by sequence number
        self._closed = False
        self._news = asyncio.Event()

    def say(self, shape: type[Event], kind: str, **fields: Any) -> None:
        """Adds an event of this type with the next sequence number."""
        if self.records:
            data = named_event(shape(type=kind, sequence_number=len(self._events), **fields))
            self._events.append(data)
            self.num_bytes += len(data)
            self._news.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    async def follow(self, after: int = -1) -> AsyncIterator[bytes]:
        """All events after that sequence number, those that there are already in one."""
        position = after + 1
        while True:
            if position < len(self._events):
                data = b"".join(self._events[position:])
                position = len(self._events)
                yield data
            elif self._closed:
                return
            else:  # several readers may clear it: nothing is awaited between the look and the wait
                self._news.clear()
                await self._news.wait()
