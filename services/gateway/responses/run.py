"""A response while it is made, by a task of its own: connections come and go, and read what it says from its log."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.types import Receive

from services.gateway.bookmark import Bookmark, Place
from services.gateway.context import Context
from services.gateway.exchange import Exchange
from services.gateway.order import Order
from services.gateway.problems import ClientGone
from services.gateway.responses.event_log import EventLog
from services.gateway.responses.shapes import Response
from services.gateway.responses.telling import Telling
from services.gateway.responses.translation import NAMES
from shared.errors import Internal, XylemError

log = logging.getLogger(__name__)


async def nobody() -> Any:
    """In the place of a client's `receive`: one who never leaves."""
    await asyncio.Event().wait()


class Run:
    """One response in the making. `start` must be called once; its task closes everything."""

    def __init__(self, context: Context, order: Order, response: Response, traceparent: str, *, logs: bool) -> None:
        self.log = EventLog(records=logs)
        self.error: Exception | None = None  # that ended it: a XylemError, or ClientGone
        self._context = context
        self._telling = Telling(self.log, response)
        bookmark = Bookmark(response.id, response.created_at, order.base_seed, [Place()], tenant=order.tenant)
        self._exchange = Exchange(context, order, bookmark, traceparent)
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._on_end: Callable[[], None] = lambda: None

    @property
    def response(self) -> Response:
        """As far as it has got."""
        return self._telling.response

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def start(self, receive: Receive, on_end: Callable[[], None]) -> None:
        """Begins; it ends early when that client leaves. Raises XylemError with nothing begun."""
        self._on_end = on_end
        try:
            self._exchange.open(receive, [])
        except BaseException:
            self._exchange.close()
            raise
        if self.response.background:  # its first event is for a client who waits for no token
            self._telling.create()
        self._context.spawn(self._run(), name=f"response {self.response.id}")

    async def begun(self) -> None:
        """Returns when there are first tokens, or it has ended without any: then `error` says why."""
        await self._begun.wait()

    async def ended(self) -> None:
        """Returns when nothing more will come."""
        await self._ended.wait()

    def cancel(self) -> None:
        """Nobody wants more of it. What it has said so far stays."""
        self._exchange.leave()

    async def _run(self) -> None:
        exchange, telling = self._exchange, self._telling
        try:
            pieces = await exchange.take()
            if not self.response.background:
                telling.create()
            telling.begin()
            self._begun.set()
            while True:
                for piece in pieces:
                    telling.add(piece)
                if exchange.done:
                    break
                pieces = await exchange.take()
            telling.end(exchange.totals())
        except ClientGone as gone:
            self.error = gone
            telling.cancel()
        except XylemError as error:
            self._fail(NAMES.translated(error))
        except Exception:
            log.exception("response %s failed", self.response.id)
            self._fail(Internal("internal error; the gateway's log says more"))
        finally:
            exchange.close()
            self.log.close()
            self._begun.set()
            self._ended.set()
            self._on_end()

    def _fail(self, error: XylemError) -> None:
        self.error = error
        self._exchange.fail(error)
        self._telling.fail(error)
