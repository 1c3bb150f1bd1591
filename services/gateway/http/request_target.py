"""Requests as routes know them: one slash between names, none at the end, GET where only the head is asked for."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SLASHES = re.compile("/{2,}")


class PlainTarget:
    """Stands around everything that decides by path or method. HEAD is answered as GET would be, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _SLASHES.sub("/", scope["path"])
        plain = {**scope, "path": path.rstrip("/") or "/"}
        if scope["method"] != "HEAD":
            await self._app(plain, receive, send)
            return

        async def head_only(message: Message) -> None:
            """Ends the answer after its head: a stream has no end that anybody would wait for."""
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**plain, "method": "GET"}, receive, head_only)
