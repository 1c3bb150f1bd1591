"""The events of a response as an HTTP answer, from any of them on."""

import asyncio
import logging
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from xylem.services.gateway.apis.openai_responses.run import ResponseRun

log = logging.getLogger(__name__)


class ResponseStream(StreamingResponse):
    """attended: what is made for this reader only, and ends when the reader does, however that comes about."""

    def __init__(self, events: AsyncIterator[bytes], timeout_s: float, attended: ResponseRun | None = None) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._timeout_s = timeout_s
        self._attended = attended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("the client did not read its stream to the end")
        finally:
            if self._attended is not None:
                self._attended.cancel()
