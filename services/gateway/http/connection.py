"""One client's connection: uvicorn's protocol, with a bound on all that a client can make it wait for or keep.

idle ──first byte──> head ──complete──> body (middleware.BodyLimit) and answer ──complete──> idle
  │ keep_alive_s      │ timeout_s, max_head_bytes    │ taking nothing for timeout_s     │ body incomplete: linger_s
  └── closed          └── 408, 431                   └── cut                            └── closed
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from xylem.services.gateway.http.errors import problem_response
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import HeadTooLarge, InvalidRequest, RequestTimeout, XylemError


class Connection(HttpToolsProtocol):
    """Made by `connection_type`. timeout_s: how long a client may take nothing, or not finish a request."""

    policy: HttpPolicy
    timeout_s: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = False
        self._head_bytes = 0  # of what the parser has taken
        self._pending_bytes = 0  # that have come since the head began, after its first packet
        self._deaf = False  # all is said; what still comes is thrown away
        self._fault: XylemError | None = None  # found inside the parser, which knows only one kind of error
        self._deadline: asyncio.TimerHandle | None = None  # of a head, or of a body that nobody wants any more
        self._unread: asyncio.TimerHandle | None = None  # runs while the client takes nothing

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        self._set_deadline(None)
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        began = self._in_head
        super().data_received(data)
        if self._deaf or self.transport.is_closing():
            return
        if self._in_head:
            self._pending_bytes += len(data) * began
            # One header without an end: the parser has not shown it yet.
            if self._pending_bytes > self.policy.max_head_bytes:
                self._refuse(self._too_large())
        elif self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_request()  # it sent something that begins nothing: empty lines, the rest of a body

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._pending_bytes = 0
        self._set_deadline(self._head_is_late)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._set_deadline(None)
        super().on_headers_complete()

    # The answer.

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.transport.is_closing():
            self._set_deadline(self.transport.abort)  # it waits for its client to take what is left of the answer
        elif answered.more_body and answered is self.cycle:
            self._half_close()  # the rest of the body would have to be read first: too late, or too long

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._fault or InvalidRequest("this is no valid HTTP request"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_unread()
        self._watch_unread(math.inf)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread()

    def _count(self, num_bytes: int) -> None:
        self._head_bytes += num_bytes
        if self._head_bytes > self.policy.max_head_bytes:
            self._fault = self._too_large()
            raise self._fault

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"the request's head has more than {self.policy.max_head_bytes} bytes")

    def _wait_for_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _head_is_late(self) -> None:
        self._refuse(RequestTimeout(f"the request's head was not complete after {self.timeout_s:g} s"))

    def _refuse(self, error: XylemError) -> None:
        """Answers what never became a request, and closes; without a word while an earlier one is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            response = problem_response(error, path="")  # which is not known
            headers = [*response.raw_headers, (b"connection", b"close")]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + bytes(response.body))
            self._half_close()
        else:
            self.transport.abort()

    def _half_close(self) -> None:
        """Says that nothing follows, and reads on: closing a socket with unread data would reset it.

        TLS can't close one half. Its transport writes what is left, says goodbye, and reads until the other side did.
        """
        self._deaf = True
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._set_deadline(self.transport.abort, min(self.policy.linger_s, self.timeout_s))

    def _set_deadline(self, late: Callable[[], None] | None, after_s: float = 0.0) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if late is None else self.loop.call_later(after_s or self.timeout_s, late)

    def _watch_unread(self, before_bytes: float) -> None:
        """Cuts the connection when as much is unread as timeout_s before."""
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes >= before_bytes:
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(self.timeout_s, self._watch_unread, unread_bytes)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def connection_type(policy: HttpPolicy, timeout_s: float) -> type[asyncio.Protocol]:
    """The protocol class that uvicorn is to make for each connection."""
    return cast("type[asyncio.Protocol]", type("Connection", (Connection,), {"policy": policy, "timeout_s": timeout_s}))
