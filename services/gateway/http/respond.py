"""The answer to a generation request: whole, or as a stream, which may be the rest of one that broke off."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from xylem.services.gateway.generation.choice_output import ChoiceOutput, best
from xylem.services.gateway.generation.context import Context, key_of
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import HEADER, StreamCursor
from xylem.services.gateway.http.event_stream import EventStream, FirstDeltas
from xylem.services.gateway.http.response_writer import Head, ResponseWriter, Usage

C = TypeVar("C")


def admit(request: Request, context: Context, generation: GenerationRequest) -> None:
    """Lets the request in, in the name of who has shown the request's key. Raises XylemError."""
    key = key_of(request)
    if key is not None:
        key.check_priority(generation.params.priority)
    context.admit(len(generation.choices), key)
    if key is not None:
        generation.assign_tenant(key.name, key.salt(generation.params.cache_salt))


async def respond(
    request: Request,
    context: Context,
    generation: GenerationRequest,
    prefix: str,
    make_writer: Callable[[Head], ResponseWriter[C]],
    *,
    resumable: bool = True,
) -> Response:
    """Runs the request. The status goes out with the first tokens: until then every stage may refuse with its own.

    Of a stream it goes out with the first ping, if that comes earlier; a refusal is then its last event.
    resumable: clients may reconnect with Last-Event-ID. Raises XylemError, ClientGone.
    """
    admit(request, context, generation)
    last_id = request.headers.get(HEADER, "") if generation.stream and resumable else ""
    if last_id:
        cursor = StreamCursor.parse(last_id, len(generation.choices), prefix, generation.params.tenant)
        generation.use_seed(cursor.seed)
        generation.event_ids = True
        found = await context.request_states.find_stream(cursor, from_start=generation.parses)
    else:
        num_choices, tenant = len(generation.choices), generation.params.tenant
        cursor = StreamCursor.of_new(prefix, seed=generation.base_seed, num_choices=num_choices, tenant=tenant)
        found = []
    writer = make_writer(Head(id=cursor.answer_id, created=cursor.created, model=generation.model))
    session = GenerationSession(context, generation, cursor, request.headers.get("traceparent", ""))
    try:
        session.start_choices(request.receive, found)
        if generation.stream:
            first = await _first_deltas(session, context.settings.ping_s)
            return EventStream(session, writer, first, cursor if generation.event_ids else None, context)
        return await _whole(session, writer)
    except BaseException as error:
        session.mark_failed(error)
        session.close()
        raise


async def _first_deltas(session: GenerationSession, ping_s: float) -> FirstDeltas:
    """Returns them when they are there, or when the client is to be pinged. Raises XylemError, ClientGone."""
    first = asyncio.ensure_future(session.take_deltas())
    try:
        await asyncio.wait((first,), timeout=ping_s or None)
    except asyncio.CancelledError:
        first.cancel()
        raise
    if first.done():
        first.result()
    return first


async def _whole(session: GenerationSession, writer: ResponseWriter[C]) -> Response:
    results = [ChoiceOutput() for _ in session.request.choices]
    while True:
        for piece in await session.take_deltas():
            results[piece.index].add_output(piece)
        if session.done:
            break
    shown, usage = best(results, session.request), Usage.of(session.totals())
    # Thousands of vectors take a second to compare and write down, in which others want to be served.
    data = (
        await asyncio.to_thread(_written, writer, shown, usage)
        if session.request.params.pooling
        else _written(writer, shown, usage)
    )
    session.close()
    return Response(data, media_type="application/json")


def _written(writer: ResponseWriter[C], results: list[ChoiceOutput], usage: Usage) -> bytes:
    return msgspec.json.encode(writer.build_response(results, usage))
