"""The answer to an order: whole, or as a stream, which may be the rest of one that broke off."""

import time
import uuid
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.gateway.bookmark import HEADER, Bookmark, Place
from services.gateway.context import Context, key_of
from services.gateway.exchange import Exchange
from services.gateway.forms.base import Form, Head, Usage
from services.gateway.mailbox import Piece
from services.gateway.order import Order
from services.gateway.stream import EventStream
from shared.messages import Finish

SEND_GRACE_S = 30.0  # after the last life must have ended, for a client that reads slowly

_encoder = msgspec.json.Encoder()


async def respond(
    request: Request, context: Context, order: Order, prefix: str, make_form: Callable[[Head], Form]
) -> Response:
    """Runs the order. The status goes out with the first tokens: until then every stage may refuse with its own.

    Raises XylemError, ClientGone.
    """
    key = key_of(request)
    context.admit(len(order.choices), key)
    if key is not None:
        order.tenant, order.salt = key.name, key.salt(order.salt)
    last_id = request.headers.get(HEADER, "") if order.stream else ""
    if last_id:
        bookmark = Bookmark.parse(last_id, len(order.choices), prefix, order.tenant)
        order.use_seed(bookmark.seed)
        order.event_ids = True
        found = await context.lives.find(bookmark)
    else:
        places = [Place() for _ in order.choices]
        bookmark = Bookmark(
            f"{prefix}-{uuid.uuid4().hex}", int(time.time()), order.base_seed, places, tenant=order.tenant
        )
        found = []
    form = make_form(Head(id=bookmark.answer_id, created=bookmark.created, model=order.model))
    exchange = Exchange(context, order, bookmark, request.headers.get("traceparent", ""))
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
