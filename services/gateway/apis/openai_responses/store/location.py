"""A response is here in memory, at the gateway that makes it, or in the bucket alone once it has ended.

What can be done with it is the same everywhere. Each place finds the next one when it turns out to be the wrong one.
"""

import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

import msgspec

from xylem.services.gateway.api_keys import Key
from xylem.services.gateway.apis.openai_responses.events import ResponseEvent
from xylem.services.gateway.apis.openai_responses.schema import Response
from xylem.services.gateway.apis.openai_responses.store.memory_store import StoredInMemory
from xylem.services.gateway.apis.openai_responses.store.record import Record
from xylem.services.gateway.http.server_sent_event import named_event
from xylem.shared.protocol import ResponseReply
from xylem.shared.runtime.errors import Internal, XylemError

log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(Response)


class ResponseLocation(Protocol):
    """One response. All raise XylemError."""

    record: Record

    async def read_body(self) -> Response:
        """The response as it is now."""

    async def cancel_response(self) -> Response:
        """Ends it, and returns what it has come to."""

    async def remove_response(self) -> None:
        """Ends and forgets it."""

    async def stream_events(self, after: int, key: Key | None) -> AsyncIterator[bytes]:
        """Yields the events after that sequence number, as long as more come. key: the client's."""


class ResponseLocator(Protocol):
    """Provides what locations need of the archive."""

    async def find_response(self, identity: str, tenant: str) -> ResponseLocation:
        """Raises NotFound, Unavailable."""

    async def take_over(self, record: Record) -> ResponseLocation:
        """Raises the error of a response that its owner does not have any more."""

    async def ask_owner(self, owner: str, identity: str, what: str, after: int = -1) -> ResponseReply:
        """A question to the gateway that makes it. Raises Unavailable when it neither answers nor is dead."""

    async def remove_response(self, record: Record) -> None:
        """From memory and bucket."""

    def replay(self, record: Record, key: Key | None) -> StoredInMemory:
        """Tells all events of a response that has ended once more. Raises QueueFull, Unavailable."""


class LocalResponse:
    def __init__(self, archive: ResponseLocator, in_memory: StoredInMemory) -> None:
        self.record = in_memory.record
        self._archive = archive
        self._in_memory = in_memory

    async def read_body(self) -> Response:
        return self._in_memory.record.final or self._in_memory.run.response

    async def cancel_response(self) -> Response:
        if self._in_memory.record.final is None:
            self._in_memory.run.cancel()
            await self._in_memory.run.ended()
        return await self.read_body()

    async def remove_response(self) -> None:
        await self._archive.remove_response(self.record)

    async def stream_events(self, after: int, key: Key | None) -> AsyncIterator[bytes]:
        return self._events(after, key)

    async def _events(self, after: int, key: Key | None) -> AsyncIterator[bytes]:
        async for told in self._in_memory.run.log.follow(after):
            yield told.data
            after = told.last
        if self._in_memory.run.is_dropped:
            async for data in _read_on(self._archive.find_response(self.record.id, self.record.tenant), after, key):
                yield data


class RemoteResponse:
    def __init__(self, archive: ResponseLocator, record: Record) -> None:
        self.record = record
        self._archive = archive

    async def read_body(self) -> Response:
        reply = await self._ask("show")
        return _response_in(reply) if reply.known else await (await self._next()).read_body()

    async def cancel_response(self) -> Response:
        reply = await self._ask("cancel")
        return _response_in(reply) if reply.known else await (await self._next()).cancel_response()

    async def remove_response(self) -> None:
        if not (await self._ask("remove")).known:
            await (await self._next()).remove_response()

    async def stream_events(self, after: int, key: Key | None) -> AsyncIterator[bytes]:
        """They are asked for again and again, so that nothing depends on a message that may be lost."""
        first = await self._ask("read", after)
        return self._events(first, key) if first.known else await (await self._next()).stream_events(after, key)

    async def _events(self, reply: ResponseReply, key: Key | None) -> AsyncIterator[bytes]:
        last = reply.last
        while reply.known:
            last = reply.last
            if reply.data:
                yield reply.data
            if reply.ended:
                return
            reply = await self._ask("read", last)
        async for data in _read_on(self._next(), last, key):
            yield data

    async def _ask(self, what: str, after: int = -1) -> ResponseReply:
        return await self._archive.ask_owner(self.record.owner, self.record.id, what, after)

    async def _next(self) -> ResponseLocation:
        return await self._archive.take_over(self.record)


class StoredResponse:
    """final: that of the record."""

    def __init__(self, archive: ResponseLocator, record: Record, final: Response) -> None:
        self.record = record
        self._final = final
        self._archive = archive

    async def read_body(self) -> Response:
        return self._final

    async def cancel_response(self) -> Response:
        return self._final

    async def remove_response(self) -> None:
        await self._archive.remove_response(self.record)

    async def stream_events(self, after: int, key: Key | None) -> AsyncIterator[bytes]:
        """Yields of a cancelled or failed response only its last event: the model would not end there again."""
        if self.record.repeatable:
            return await LocalResponse(self._archive, self._archive.replay(self.record, key)).stream_events(after, key)
        return self._last(after)

    async def _last(self, after: int) -> AsyncIterator[bytes]:
        number = self.record.num_events - 1
        if after < number:
            kind = "failed" if self._final.status == "failed" else "incomplete"
            yield named_event(ResponseEvent(type=f"response.{kind}", sequence_number=number, response=self._final))


def _response_in(reply: ResponseReply) -> Response:
    try:
        return _decoder.decode(reply.data)
    except msgspec.DecodeError as error:
        log.error("the response that another gateway has sent can't be read: %s", error)
        raise Internal("the gateway that makes the response is of another version") from None


async def _read_on(finding: Awaitable[ResponseLocation], after: int, key: Key | None) -> AsyncIterator[bytes]:
    """The rest of a stream that has begun. When nobody has it the client comes back: an error is no event of it."""
    try:
        async for data in await (await finding).stream_events(after, key):
            yield data
    except XylemError as error:
        log.warning("a stream of a response broke off: %s", error)
