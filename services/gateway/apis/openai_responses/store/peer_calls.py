"""What other gateways ask about the responses that this one makes."""

import asyncio

import msgspec

from xylem.services.gateway.apis.openai_responses.store.location import LocalResponse, ResponseLocator
from xylem.services.gateway.apis.openai_responses.store.memory_store import StoredInMemory
from xylem.shared.protocol import ResponseCall, ResponseReply

READ_S = 1.0  # how long the answer to `read` waits for an event
READ_BYTES = 1 << 18  # of events in one answer


async def answer(archive: ResponseLocator, kept: StoredInMemory | None, call: ResponseCall) -> ResponseReply:
    """kept: what we have of the response that is asked about."""
    if kept is None or kept.run.is_dropped:
        return ResponseReply()
    if call.what == "read":
        return await _read(kept, call.after)
    place = LocalResponse(archive, kept)
    if call.what == "remove":
        await place.remove()
        return ResponseReply(known=True)
    body = await (place.cancel() if call.what == "cancel" else place.body())
    return ResponseReply(known=True, data=msgspec.json.encode(body))


async def _read(kept: StoredInMemory, after: int) -> ResponseReply:
    try:
        async with asyncio.timeout(READ_S):
            told = await kept.run.log.read(after, READ_BYTES)
    except TimeoutError:
        return ResponseReply(known=True, last=after)
    return ResponseReply(known=not kept.run.is_dropped, data=told.data, last=told.last, ended=told.ended)
