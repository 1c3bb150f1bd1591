"""This module stands around the application, as plain ASGI: the limit of body sizes, and the count of answers."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xylem.services.gateway.http.errors import problem_response
from xylem.services.gateway.metrics import Metrics
from xylem.shared.runtime.errors import PayloadTooLarge, RequestTimeout


class BodyLimit:
    """Refuses bodies over max_bytes: by their declared length at once, chunked ones when they get there.

    A body that is not complete after timeout_s is a 408, however it trickles in.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            await problem_response(self._error(f"{int(declared)}"), scope["path"])(scope, receive, send)
            return
        num_bytes = 0
        complete = False
        late_s = asyncio.get_running_loop().time() + self._timeout_s

        async def limited() -> Message:
            nonlocal num_bytes, complete
            if complete:
                return await receive()  # which waits for the client's leaving
            try:
                async with asyncio.timeout_at(late_s):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeout(f"the body was not complete after {self._timeout_s:g} s") from None
            complete = not message.get("more_body", False)
            if message["type"] == "http.request":
                num_bytes += len(message.get("body", b""))
                if num_bytes > self._max_bytes:
                    raise self._error(f"{num_bytes} or more")
            return message

        await self._app(scope, limited, send)

    def _error(self, size: str) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body has {size} bytes; {self._max_bytes} are allowed")


# Asked every few seconds by whoever watches: they are no requests of anybody.
PROBES = {"/health", "/ready", "/metrics"}


class Counted:
    """Counts answers by route and status, but for those to PROBES."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._requests = metrics.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Paths that are no route would let any client make up labels.
                route = getattr(scope.get("route"), "path", "unknown")
                if route not in PROBES:
                    self._requests[route, str(message["status"])] += 1
            await send(message)

        await self._app(scope, receive, counted)
