"""Pages of other origins: which of them may use the gateway (CORS), and what the others may not."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from xylem.services.gateway.http.errors import problem_response
from xylem.services.gateway.http.rate_limits import EXPOSED_HEADERS
from xylem.shared.runtime.errors import Forbidden

_HARMLESS = ("GET", "HEAD", "OPTIONS")


class Cors(CORSMiddleware):
    """Lets pages of these origins ask and read (https://fetch.spec.whatwg.org/#http-cors-protocol); `*` are all.

    What they ask for in advance (a preflight) is answered before any key is looked at: browsers send none with it.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=EXPOSED_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        refused = problem_response(Forbidden(_advice(request_headers["origin"])), path="")
        refused.headers["vary"] = response.headers["vary"]
        return refused


class CrossSite:
    """Refuses what a page of another site makes a browser send, unless it is only asked to look.

    A page may send without being able to read the answer, and so could end or start work here. Browsers say so with
    Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/); what has no such header was sent by no page.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = headers.get("origin", "null")
        if (
            headers.get("sec-fetch-site") != "cross-site"
            or scope["method"] in _HARMLESS
            or "*" in self._origins
            or origin in self._origins
        ):
            await self._app(scope, receive, send)
        else:
            await problem_response(Forbidden(_advice(origin)), scope["path"])(scope, receive, send)


def _advice(origin: str) -> str:
    return f"pages of {origin[:100]} may not use this server; --allow-origin {origin[:100]} lets them"
