"""The answer to an order: whole, or as a stream, which may be the rest of one that broke off."""

import asyncio
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from xylem.services.gateway.generation.choice_output import ChoiceOutput, best
from xylem.services.gateway.generation.context import Context, key_of
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import HEADER, StreamCursor
from xylem.services.gateway.http.event_stream import EventStream
from xylem.services.gateway.http.response_writer import Head, ResponseWriter, Usage

SEND_GRACE_S = 30.0  # after the last life must have ended, for a client that reads slowly


def admit(request: Request, context: Context, order: GenerationRequest) -> None:
    """Lets the order in, in the name of who has shown the request's key. Raises Unavailable, QueueFull."""
    key = key_of(request)
    context.admit(len(order.choices), key)
    if key is not None:
        order.tenant, order.salt = key.name, key.salt(order.salt)


async def respond(
    request: Request,
    context: Context,
    order: GenerationRequest,
    prefix: str,
    make_form: Callable[[Head], ResponseWriter],
    *,
    resumable: bool = True,
) -> Response:
    """Runs the order. The status goes out with the first tokens: until then every stage may refuse with its own.

    resumable: its stream can be gone on with by the ids of events. Raises XylemError, ClientGone.
    """
    admit(request, context, order)
    last_id = request.headers.get(HEADER, "") if order.stream and resumable else ""
    if last_id:
        bookmark = StreamCursor.parse(last_id, len(order.choices), prefix, order.tenant)
        order.use_seed(bookmark.seed)
        order.event_ids = True
        found = await context.lives.find(bookmark, from_start=order.parses)
    else:
        num_choices = len(order.choices)
        bookmark = StreamCursor.of_new(prefix, seed=order.base_seed, num_choices=num_choices, tenant=order.tenant)
        found = []
    form = make_form(Head(id=bookmark.answer_id, created=bookmark.created, model=order.model))
    exchange = GenerationSession(context, order, bookmark, request.headers.get("traceparent", ""))
    try:
        exchange.open(request.receive, found)
        first = await exchange.take()
        if order.stream:
            marked = bookmark if order.event_ids else None
            timeout_s = context.settings.request_timeout_s + SEND_GRACE_S
            return EventStream(exchange, form, first, marked, timeout_s)
        return await _whole(exchange, form, first)
    except BaseException as error:
        exchange.fail(error)
        exchange.close()
        raise


async def _whole(exchange: GenerationSession, form: ResponseWriter, first: list[OutputDelta]) -> Response:
    results = [ChoiceOutput() for _ in exchange.order.choices]
    pieces = first
    while True:
        for piece in pieces:
            results[piece.index].add(piece)
        if exchange.done:
            break
        pieces = await exchange.take()
    shown, usage = best(results, exchange.order), Usage.of(exchange.totals())
    # Thousands of vectors take a second to compare and write down, in which others want to be served.
    data = (
        await asyncio.to_thread(_written, form, shown, usage)
        if exchange.order.pooling
        else _written(form, shown, usage)
    )
    exchange.close()
    return Response(data, media_type="application/json")


def _written(form: ResponseWriter, results: list[ChoiceOutput], usage: Usage) -> bytes:
    return msgspec.json.encode(form.whole(results, usage))
