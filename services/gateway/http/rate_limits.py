"""Headers say how many requests a client may have open, and how many more, as OpenAI's and Anthropic's clients read it.

The limits here are of what is open at once, so that a place is free again as soon as any request ends.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xylem.services.gateway.api_keys import Key
from xylem.services.gateway.generation.context import OpenRequests

RESET_S = 1  # as with the retry-after of a 429

# What a page may read of an answer beside what it always may.
EXPOSED_HEADERS = (
    "x-request-id",
    "request-id",
    "retry-after",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
)


class RateLimits:
    """Stands where the key is known. open_of: of a key, or of everybody where there are none; None without a limit."""

    def __init__(self, app: ASGIApp, open_of: Callable[[Key | None], OpenRequests | None]) -> None:
        self._app = app
        self._open_of = open_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start" and (found := self._open_of(scope.get("xylem.key"))):
                write = _as_anthropic if scope["path"].startswith("/v1/messages") else _as_openai
                write(MutableHeaders(scope=message), found)
            await send(message)

        await self._app(scope, receive, marked)


def _as_openai(headers: MutableHeaders, found: OpenRequests) -> None:
    """https://platform.openai.com/docs/guides/rate-limits"""
    headers["x-ratelimit-limit-requests"] = str(found.limit)
    headers["x-ratelimit-remaining-requests"] = str(found.num_left)
    headers["x-ratelimit-reset-requests"] = f"{RESET_S}s"


def _as_anthropic(headers: MutableHeaders, found: OpenRequests) -> None:
    """https://docs.anthropic.com/en/api/rate-limits"""
    reset = datetime.now(UTC) + timedelta(seconds=RESET_S)
    headers["anthropic-ratelimit-requests-limit"] = str(found.limit)
    headers["anthropic-ratelimit-requests-remaining"] = str(found.num_left)
    headers["anthropic-ratelimit-requests-reset"] = reset.isoformat(timespec="seconds").replace("+00:00", "Z")
