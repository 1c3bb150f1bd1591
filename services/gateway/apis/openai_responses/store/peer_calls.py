"""This module answers what other gateways ask about the responses that this one makes."""

import asyncio

import msgspec

from xylem.services.gateway.apis.openai_responses.store.location import LocalResponse, ResponseLocator
from xylem.services.gateway.apis.openai_responses.store.memory_store import StoredInMemory
from xylem.services.gateway.policy import ResponseStorePolicy
from xylem.shared.protocol import ResponseCall, ResponseReply


async def answer(
    archive: ResponseLocator, policy: ResponseStorePolicy, in_memory: StoredInMemory | None, call: ResponseCall
) -> ResponseReply:
    """in_memory: what this gateway has of the response that is asked about."""
    if in_memory is None or in_memory.run.is_dropped:
        return ResponseReply()
    if call.what == "read":
        return await _read(policy, in_memory, call.after)
    location = LocalResponse(archive, in_memory)
    if call.what == "remove":
        await location.remove_response()
        return ResponseReply(known=True)
    body = await (location.cancel_response() if call.what == "cancel" else location.read_body())
    return ResponseReply(known=True, data=msgspec.json.encode(body))


async def _read(policy: ResponseStorePolicy, in_memory: StoredInMemory, after: int) -> ResponseReply:
    try:
        async with asyncio.timeout(policy.peer_read_s):
            told = await in_memory.run.log.read_events(after, policy.max_peer_read_bytes)
    except TimeoutError:
        return ResponseReply(known=True, last=after)
    return ResponseReply(known=not in_memory.run.is_dropped, data=told.data, last=told.last, ended=told.ended)
