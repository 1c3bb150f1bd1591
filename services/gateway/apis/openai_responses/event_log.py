"""The events of one response, as bytes, for any number of readers that may begin anywhere."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from xylem.services.gateway.apis.openai_responses.events import Event
from xylem.services.gateway.http.server_sent_event import named_event


@dataclass(frozen=True, slots=True)
class Told:
    """Some events, as bytes. last: the number of the last of them; ended: no more will come after them."""

    data: bytes
    last: int
    ended: bool


class EventLog:
    """Grows until it is closed. A log that does not record only drops what it is told: nobody will read it."""

    def __init__(self, *, records: bool) -> None:
        self.records = records
        self.num_bytes = 0
        self._events: list[bytes] = []  # by sequence number
        self._closed = False
        self._news = asyncio.Event()

    def append_event(self, shape: type[Event], kind: str, **fields: Any) -> None:
        """Adds an event of this type with the next sequence number."""
        if self.records:
            data = named_event(shape(type=kind, sequence_number=len(self._events), **fields))
            self._events.append(data)
            self.num_bytes += len(data)
            self._news.set()

    def __len__(self) -> int:
        return len(self._events)

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    async def read_events(self, after: int, max_bytes: int = sys.maxsize) -> Told:
        """The events after that sequence number, one at least and of so many bytes at most; waits for the next one."""
        while after + 1 >= len(self._events) and not self._closed:
            # Several readers may clear it: nothing is awaited between the look and the wait.
            self._news.clear()
            await self._news.wait()
        parts: list[bytes] = []
        for event in self._events[after + 1 :]:
            max_bytes -= len(event)
            if parts and max_bytes < 0:
                break
            parts.append(event)
        last = after + len(parts)
        return Told(b"".join(parts), last, self._closed and last + 1 >= len(self._events))

    async def follow(self, after: int = -1) -> AsyncIterator[Told]:
        """All events after that sequence number, those that there are already in one."""
        while True:
            told = await self.read_events(after)
            if told.data:
                yield told
            if told.ended:
                return
            after = told.last
