"""The answer to an order: whole, or as server-sent events."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.context import Context
from services.gateway.exchange import Exchange
from services.gateway.forms.base import ChunkUsage, Form, Head, Usage
from services.gateway.mailbox import Piece
from services.gateway.order import Order
from services.gateway.problems import ClientGone, problem
from shared.errors import XylemError
from shared.messages import Finish

log = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"
SEND_GRACE_S = 30.0  # after the last life must have ended, for a client that reads slowly

_encoder = msgspec.json.Encoder()


def event(data: object) -> bytes:
    """One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return b"data: " + _encoder.encode(data) + b"\n\n"


async def respond(
    request: Request, context: Context, order: Order, prefix: str, make_form: Callable[[Head], Form]
) -> Response:
    """Runs the order. The status goes out with the first tokens: until then every stage may refuse with its own.

    Raises XylemError, ClientGone.
    """
    context.admit(len(order.choices))
    head = Head(id=f"{prefix}-{uuid.uuid4().hex}", created=int(time.time()), model=order.model)
    form = make_form(head)
    exchange = Exchange(context, order, head.id, request.headers.get("traceparent", ""))
    try:
        exchange.open(request.receive)
        first = await exchange.take()
        if order.stream:
            return EventStream(exchange, form, first, context.settings.request_timeout_s + SEND_GRACE_S)
        return await _whole(exchange, form, first)
    except BaseException as error:
        exchange.fail(error)
        exchange.close()
        raise


async def _whole(exchange: Exchange, form: Form, first: list[Piece]) -> Response:
    texts = [""] * len(exchange.order.choices)
    finishes = [Finish.NONE] * len(texts)
    pieces = first
    while True:
        for piece in pieces:
            texts[piece.index] += piece.text
            finishes[piece.index] = piece.finish
        if exchange.done:
            break
        pieces = await exchange.take()
    answer = form.whole(texts, finishes, Usage.of(exchange.totals()))
    exchange.close()
    return Response(_encoder.encode(answer), media_type="application/json")


class EventStream(StreamingResponse):
    """The chunks of an exchange, which is closed however the response ends: it may be cancelled while it sends."""

    def __init__(self, exchange: Exchange, form: Form, first: list[Piece], timeout_s: float) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(_events(exchange, form, first), headers=headers, media_type="text/event-stream")
        self._exchange = exchange
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("%s: the client did not read its stream to the end", self._exchange.id)
        finally:
            self._exchange.close()


async def _events(exchange: Exchange, form: Form, first: list[Piece]) -> AsyncIterator[bytes]:
    order = exchange.order
    # null everywhere when usage is asked for, except in the chunk that has it; otherwise no such field at all.
    usage: ChunkUsage = None if order.include_usage else msgspec.UNSET
    pieces = first
    try:
        while True:
            if order.continuous_usage:
                usage = Usage.of(exchange.totals())
            events = [event(chunk) for piece in pieces for chunk in form.chunks(piece, usage)]
            if exchange.done:
                break
            if events:
                yield b"".join(events)
            pieces = await exchange.take()
        if order.include_usage:
            events.append(event(form.usage_chunk(Usage.of(exchange.totals()))))
        yield b"".join([*events, DONE])
    except XylemError as error:
        exchange.fail(error)
        yield event(problem(error)) + DONE
    except ClientGone:
        return
