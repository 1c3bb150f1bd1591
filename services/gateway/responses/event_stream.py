"""The events of a response as an HTTP answer, from any of them on."""

import asyncio
import logging

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.responses.run import Run

log = logging.getLogger(__name__)


class ResponseStream(StreamingResponse):
    """attends: the response is made for this reader only, and ends when the reader does, however that comes about."""

    def __init__(self, run: Run, after: int, timeout_s: float, *, attends: bool) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(run.log.follow(after), headers=headers, media_type="text/event-stream")
        self._run = run
        self._timeout_s = timeout_s
        self._attends = attends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("%s: the client did not read its stream to the end", self._run.response.id)
        finally:
            if self._attends:
                self._run.cancel()
