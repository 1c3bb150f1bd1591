"""All responses of a model, whichever gateway has made them.

The bucket has a record of each that is to be kept, from the moment that it is accepted: enough to make it again. The
gateway that makes it is its owner; one that finds the owner dead adopts it by writing its own name over the record's
revision that it has read, which only one can do.
"""

import asyncio
import logging
import re
from contextlib import suppress

import msgspec
from starlette.types import Receive

from xylem.services.gateway.api_keys import Key
from xylem.services.gateway.apis.openai_responses.request import ResponseRequest, understand
from xylem.services.gateway.apis.openai_responses.run import ResponseRun
from xylem.services.gateway.apis.openai_responses.schema import Item
from xylem.services.gateway.apis.openai_responses.store.location import (
    LocalResponse,
    RemoteResponse,
    ResponseLocation,
    StoredResponse,
)
from xylem.services.gateway.apis.openai_responses.store.memory_store import MemoryStore, StoredInMemory
from xylem.services.gateway.apis.openai_responses.store.peer_calls import answer
from xylem.services.gateway.apis.openai_responses.store.record import REPEATABLE, Record
from xylem.services.gateway.apis.openai_responses.store.record_store import RecordStore
from xylem.services.gateway.apis.openai_responses.store.record_writer import RecordWriter
from xylem.services.gateway.generation.context import Context
from xylem.shared.protocol import ResponseCall, ResponseReply, subjects
from xylem.shared.runtime.bucket import Stale
from xylem.shared.runtime.errors import InvalidRequest, NotFound, Unavailable

log = logging.getLogger(__name__)

FORM = re.compile(r"resp_[0-9a-f]{32}")


class ResponseNotFound(NotFound):
    code = "response_not_found"


class Archive:
    """All responses that this gateway can reach. Implements `location.ResponseLocator`."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self.record_store = RecordStore(context.bus, settings)
        self._context = context
        self._policy = context.policy.response_store
        self._id = settings.instance
        self._memory = MemoryStore(settings.max_kept_responses, settings.max_kept_response_bytes)
        self._record_writer = RecordWriter(self.record_store, self._memory, self._id, self._policy.store_retry_s)

    async def open_store(self) -> None:
        """Answers the questions of other gateways from now on. A bucket that does not serve is tried again later."""
        subject = subjects.responses(self._id)
        await self._context.bus.answer(subject, ResponseCall, self._on_call, concurrency=self._policy.max_peer_calls)
        with suppress(Unavailable):
            await self.record_store.open_bucket()

    def begin_response(self, response_request: ResponseRequest, receive: Receive, traceparent: str) -> StoredInMemory:
        """Makes a response, which ends early when that client leaves. Raises XylemError."""
        in_memory = self._made(response_request, traceparent)
        in_memory.run.start_response(receive)
        if response_request.response.store:
            self._memory.add_response(in_memory)
            if self.record_store.is_wanted:
                in_memory.news.set()
                self._context.spawn(self._record_writer.write_changes(in_memory), name=f"store {in_memory.record.id}")
        return in_memory

    async def until_stored(self, in_memory: StoredInMemory) -> None:
        """Returns when it will outlive this gateway, or when the bucket takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._policy.store_wait_s if self.record_store.is_wanted else 0):
                await in_memory.stored.wait()

    def discard(self, in_memory: StoredInMemory) -> None:
        """Ends and forgets what nobody has been told of."""
        in_memory.is_removed = True
        self._memory.forget_response(in_memory)
        in_memory.run.cancel()
        in_memory.news.set()

    async def conversation(self, identity: str, tenant: str) -> list[Item]:
        """Returns what a response that goes on from this one begins with. Raises InvalidRequest, NotFound."""
        location = await self.find_response(identity, tenant, "previous_response_id")
        body = await location.read_body()
        if body.status not in REPEATABLE:
            raise InvalidRequest(
                f"response {identity[:100]!r} is {body.status}; only a completed one can be gone on from",
                param="previous_response_id",
            )
        return [*location.record.items, *body.output]

    async def find_items(self, identities: list[str], tenant: str) -> dict[str, Item]:
        """Returns the items with these ids that are parts of responses which are kept; the others are missing."""
        found: dict[str, Item] = {}
        # As EventWriter names items; those of one response are read once.
        for response_id in dict.fromkeys(f"resp_{identity.partition('_')[2][:-4]}" for identity in identities):
            with suppress(NotFound):
                found |= {item.id: item for item in await self.conversation(response_id, tenant)}
        return found

    def recheck(self) -> None:
        """We were away: others may have taken us for dead. What they have adopted turns out when it is stored."""
        for in_memory in self._memory.running():
            in_memory.news.set()

    def drop_all(self) -> None:
        """This gateway ends: what is stored goes on elsewhere."""
        for in_memory in self._memory.running():
            if in_memory.revision:
                in_memory.run.drop()

    # ResponseLocator

    async def find_response(self, identity: str, tenant: str, param: str | None = None) -> ResponseLocation:
        """Raises NotFound: nobody's, somebody else's, or forgotten; Unavailable. param: the field that named it."""
        in_memory = self._memory.find_response(identity)
        if (
            in_memory is not None
            and in_memory.record.tenant == tenant
            and not (in_memory.revision and in_memory.run.has_ended)
        ):
            return LocalResponse(self, in_memory)
        entry = None
        try:
            if FORM.fullmatch(identity):
                entry = await self.record_store.get_record(identity)
        except Unavailable:
            if in_memory is None or in_memory.record.tenant != tenant:
                raise
            return LocalResponse(self, in_memory)
        if entry is not None and entry[0].tenant == tenant:
            return await self._place(*entry)
        if in_memory is not None and in_memory.record.tenant == tenant:  # it was removed through another gateway
            self._memory.forget_response(in_memory)
        raise ResponseNotFound(f"there is no response {identity[:100]!r} here (any more)", param=param)

    async def take_over(self, record: Record) -> ResponseLocation:
        entry = await self.record_store.get_record(record.id)
        if entry is None:
            raise ResponseNotFound(f"there is no response {record.id!r} any more")
        return await self._place(*entry, lost=record.owner)

    async def ask_owner(self, owner: str, identity: str, what: str, after: int = -1) -> ResponseReply:
        call = ResponseCall(response_id=identity, what=what, after=after)
        try:
            subject = subjects.responses(owner)
            return await self._context.bus.request(subject, call, ResponseReply, timeout_s=self._policy.peer_timeout_s)
        except Unavailable:
            if await self._context.request_states.pipeline_health.gone("gateway", owner, self._policy.peer_gone_s):
                return ResponseReply()
            raise

    async def remove_response(self, record: Record) -> None:
        in_memory = self._memory.find_response(record.id)
        if in_memory is None or in_memory.revision:
            await self.record_store.remove_record(record.id)
        if in_memory is not None:
            self.discard(in_memory)

    def replay(self, record: Record, key: Key | None) -> StoredInMemory:
        in_memory = self._memory.find_response(record.id)
        if in_memory is None:
            self._context.admit(1, key)
            in_memory = self._made(understand(record, self._context.served_model))
            self._memory.add_response(in_memory)
            in_memory.run.go_on()
        return in_memory

    async def take_in(self, identity: str) -> None:
        """Goes on with it if its owner is dead. Raises XylemError."""
        entry = None if self._memory.find_response(identity) else await self.record_store.get_record(identity)
        if entry is None:
            return
        record, revision = entry
        if record.final is not None:
            await self.record_store.unmark(identity)
        elif (
            record.owner == self._id
            or self._context.request_states.pipeline_health.epoch_of("gateway", record.owner) is None
        ):
            await self._place(record, revision, lost=record.owner)

    # Whose it is.

    async def _place(self, record: Record, revision: int, lost: str = "") -> ResponseLocation:
        """lost: an owner that does not have it any more."""
        in_memory = self._memory.find_response(record.id)
        if in_memory is not None and not in_memory.run.is_dropped:
            return LocalResponse(self, in_memory)
        if record.final is not None:
            return StoredResponse(self, record, record.final)
        if record.owner in (self._id, lost):
            return await self._adopt(record, revision)
        return RemoteResponse(self, record)

    async def _adopt(self, record: Record, revision: int) -> ResponseLocation:
        if not self._context.accepting:
            raise Unavailable("the gateway is stopping", retry_after_s=1.0)
        mine = msgspec.structs.replace(record, owner=self._id)
        response_request = understand(mine, self._context.served_model)
        try:
            revision = await self.record_store.put_record(mine, revision)
        except Stale:  # another gateway was first, or it has ended
            return await self.find_response(record.id, record.tenant)
        log.info("goes on with %s of gateway %s", record.id, record.owner)
        in_memory = self._made(response_request)
        in_memory.revision = revision
        self._memory.add_response(in_memory)
        in_memory.run.go_on()
        self._context.spawn(self._record_writer.write_changes(in_memory), name=f"store {record.id}")
        return LocalResponse(self, in_memory)

    async def _on_call(self, call: ResponseCall) -> ResponseReply:
        return await answer(self, self._policy, self._memory.find_response(call.response_id), call)

    def _made(self, response_request: ResponseRequest, traceparent: str = "") -> StoredInMemory:
        in_memory = StoredInMemory(
            response_request.accepted,
            ResponseRun(self._context, response_request, lambda: self._on_change(in_memory), traceparent),
        )
        return in_memory

    def _on_change(self, in_memory: StoredInMemory) -> None:
        run, record = in_memory.run, in_memory.record
        if record.final is not None:  # it was told again
            if run.error is not None:
                self._memory.forget_response(in_memory)
        elif not run.is_dropped:
            record = msgspec.structs.replace(record, generation=run.generation)
            in_memory.record = record.ended(run.response, len(run.log)) if run.has_ended else record
            in_memory.news.set()
        if run.has_ended:
            self._memory.settle_response(in_memory)
