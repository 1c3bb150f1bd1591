"""The events of a response as an HTTP answer, from any of them on."""

from collections.abc import AsyncIterator

from xylem.services.gateway.apis.openai_responses.run import ResponseRun
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.http.pinged_stream import PingedStream


class ResponseStream(PingedStream):
    """attended: what is made for this reader only, and ends when the reader does, however that comes about."""

    def __init__(self, events: AsyncIterator[bytes], context: Context, attended: ResponseRun | None = None) -> None:
        super().__init__(events, timeout_s=context.response_timeout_s, ping_s=context.settings.ping_s)
        self._attended = attended

    def end_stream(self) -> None:
        if self._attended is not None:
            self._attended.cancel()
