"""Lets in who shows a key. Plain ASGI, before the body is read."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from xylem.services.gateway.api_keys import Keys
from xylem.services.gateway.http.errors import problem_response
from xylem.shared.runtime.errors import XylemError

OPEN = {"/", "/health", "/ready"}
ADMIN = ("/metrics", "/admin/", "/flush_cache")


class Authentication:
    """`scope["xylem.key"]` is the key of an admitted request. An admin key opens admin paths only, if there is one."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            admin = self._keys.has_admin and scope["path"].startswith(ADMIN)
            try:
                scope["xylem.key"] = self._keys.check(_presented(Headers(scope=scope)), admin=admin)
            except XylemError as error:
                response = problem_response(error, scope["path"])
                if error.status == 401:
                    response.headers["www-authenticate"] = "Bearer"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _presented(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
