"""This module answers what other gateways ask about the responses that this one makes."""

import asyncio

import msgspec

from xylem.services.gateway.apis.openai_responses.store.location import LocalResponse, ResponseLocator
from xylem.services.gateway.apis.openai_responses.store.memory_store import StoredInMemory
from xylem.shared.protocol import ResponseCall, ResponseReply

READ_S = 1.0  # how long the answer to `read` waits for an event
READ_BYTES = 1 << 18  # of events in one answer


async def answer(archive: ResponseLocator, in_memory: StoredInMemory | None, call: ResponseCall) -> ResponseReply:
    """kept: what we have of the response that is asked about."""
    if in_memory is None or in_memory.run.is_dropped:
        return ResponseReply()
    if call.what == "read":
        return await _read(in_memory, call.after)
    location = LocalResponse(archive, in_memory)
    if call.what == "remove":
        await location.remove()
        return ResponseReply(known=True)
    body = await (location.cancel() if call.what == "cancel" else location.body())
    return ResponseReply(known=True, data=msgspec.json.encode(body))


async def _read(in_memory: StoredInMemory, after: int) -> ResponseReply:
    try:
        async with asyncio.timeout(READ_S):
            told = await in_memory.run.log.read(after, READ_BYTES)
    except TimeoutError:
        return ResponseReply(known=True, last=after)
    return ResponseReply(known=not in_memory.run.is_dropped, data=told.data, last=told.last, ended=told.ended)
