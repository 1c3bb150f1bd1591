"""A stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

Proxies, and clients themselves, may give up a connection on which nothing comes: a comment goes out then, which clients
pass over.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

log = logging.getLogger(__name__)

PING = b": ping\n\n"


class PingedStream(StreamingResponse):
    """Sends events, each of them whole, for timeout_s at most. `end_stream` is called however the response ends.

    ping_s: a comment is sent after so long without an event; 0 sends none.
    """

    def __init__(self, events: AsyncIterator[bytes], *, timeout_s: float, ping_s: float) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._timeout_s = timeout_s
        self._ping_s = ping_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pings = Pings(send, self._ping_s)
        pinging = asyncio.create_task(pings.ping_idle()) if self._ping_s else None
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, pings.send_message)
        except TimeoutError:
            log.warning("the client of %s did not read its stream to the end", scope.get("xylem.request_id"))
        finally:
            if pinging is not None:
                pinging.cancel()
            self.end_stream()

    def end_stream(self) -> None:
        """Ends what was made for this reader alone."""


class Pings:
    """Stands before `send`, and sends a comment of its own when nothing was sent for after_s."""

    def __init__(self, send: Send, after_s: float) -> None:
        self._send = send
        self._after_s = after_s
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()
        self._is_open = False
        self._sending = asyncio.Lock()  # a client that reads slowly holds whoever sends

    async def send_message(self, message: Message) -> None:
        self._is_open = message["type"] == "http.response.start" or message.get("more_body", False)
        async with self._sending:
            await self._send(message)
        self._last_s = self._loop.time()

    async def ping_idle(self) -> None:
        while True:
            await asyncio.sleep(self._last_s + self._after_s - self._loop.time())
            if self._loop.time() - self._last_s < self._after_s:
                continue
            async with self._sending:
                if self._is_open:
                    await self._send({"type": "http.response.body", "body": PING, "more_body": True})
            self._last_s = self._loop.time()
