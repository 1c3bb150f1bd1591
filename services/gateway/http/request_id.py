"""Every answer has an x-request-id: the client's own, if it is a sane one, or a new one."""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
ANTHROPIC_HEADER = "request-id"  # which Anthropic's clients read
_SANE = re.compile(r"[A-Za-z0-9._:/+=@~-]{1,128}")


def new_request_id() -> str:
    return f"req_{uuid.uuid4().hex}"


class RequestId:
    """`scope["xylem.request_id"]` is the request's own, for logs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SANE.fullmatch(given) else new_request_id()
        scope["xylem.request_id"] = request_id

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = headers[ANTHROPIC_HEADER] = request_id
            await send(message)

        await self._app(scope, receive, marked)
