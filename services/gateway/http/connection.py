"""One client's connection: uvicorn's protocol, with a bound on all that a client can make it wait for or keep.

idle ──first byte──> head ──complete──> body (middleware.BodyLimit) and answer ──complete──> idle
  │ keep_alive_s      │ timeout_s, request_head.py       │ taking nothing for timeout_s     │ body incomplete: linger_s
  └── closed          └── 400, 408, 414, 431             └── cut                            └── closed

uvicorn writes the answer. What comes in is read by RequestHead and RequestBody instead of uvicorn's own parser.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from xylem.services.gateway.http.errors import problem_response
from xylem.services.gateway.http.request_body import RequestBody
from xylem.services.gateway.http.request_head import RequestHead
from xylem.services.gateway.http.request_id import HEADER, new_request_id
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import RequestTimeout, XylemError


class InputFlow(FlowControl):
    """Reads nothing while `held`, whoever wants to: what has come before is still to be looked at."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """Made by `connection_type`. timeout_s: how long a client may take nothing, or not finish a request."""

    policy: HttpPolicy
    timeout_s: float
    flow: InputFlow

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head: RequestHead | None = None  # that is being read
        self._body: RequestBody | None = None
        self._held = b""  # has come, and waits for its turn
        self._deaf = False  # all is said; what still comes is thrown away
        self._deadline: asyncio.TimerHandle | None = None  # of a head, or of a body that nobody wants any more
        self._unread: asyncio.TimerHandle | None = None  # runs while the client takes nothing

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = InputFlow(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._unset_keepalive_if_required()
        self._set_deadline(None)
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._deaf:
            self._held += data
            self._read_held()

    # What comes in.

    def _read_held(self) -> None:
        """Reads one turn's worth. What is left waits for the next one, or until the present request is answered."""
        data, self._held = self._held, b""
        try:
            while data and not self._deaf and not self.transport.is_closing():
                if self._body is not None:
                    data = self._read_body(self._body, data)
                    if data and self._body is not None:
                        self.loop.call_soon(self._read_held)  # others come first
                        break
                elif self._is_answering():
                    break
                else:
                    data = self._read_head(data)
        except XylemError as error:
            self._refuse(error)
        self._hold(b"" if self._deaf else data)

    def _hold(self, data: bytes) -> None:
        was_held, self._held, self.flow.held = self.flow.held, data, bool(data)
        if data:
            self.flow.pause_reading()
        elif was_held and not self.transport.is_closing():
            self.flow.resume_reading()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _read_head(self, data: bytes) -> bytes:
        """Returns what follows the head. Raises XylemError."""
        if self._head is None:
            data = data.lstrip(b"\r\n")  # as RFC 9112, 2.2 allows it before a request; it begins nothing
            if not data:
                return b""
            self._unset_keepalive_if_required()
            self._head = RequestHead(self.policy)
            self._set_deadline(self._head_is_late)
        num_taken = self._head.feed_data(data)
        if self._head.complete:
            self._begin_request(self._head)
        return data[num_taken:]

    def _begin_request(self, head: RequestHead) -> None:
        self._head = None
        self._set_deadline(None)
        body = head.body()
        self.parser = head  # type: ignore[assignment]
        self.on_message_begin()
        self.on_url(head.url)
        for name, value in head.headers:
            self.on_header(name, value)
        self.on_headers_complete()
        if body.complete:
            self.on_message_complete()
        else:
            self._body = body

    def _read_body(self, body: RequestBody, data: bytes) -> bytes:
        """Returns what is left. Raises XylemError."""
        content, num_taken = body.feed_data(data)
        if content:
            self.on_body(content)
        if body.complete:
            self._body = None
            self.on_message_complete()
        return data[num_taken:]

    # The answer.

    def on_response_complete(self) -> None:
        answered = self.cycle
        super().on_response_complete()
        if self.transport.is_closing():
            self._set_deadline(self.transport.abort)  # it waits for its client to take what is left of the answer
        elif answered.more_body:
            self._half_close()  # the rest of the body would have to be read first: too late, or too long
        elif self._held:
            self.loop.call_soon(self._read_held)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_unread()
        self._watch_unread(math.inf)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread()

    def _wait_for_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _head_is_late(self) -> None:
        self._refuse(RequestTimeout(f"the request's head was not complete after {self.timeout_s:g} s"))

    def _refuse(self, error: XylemError) -> None:
        """Answers what can't be read as a request, and closes; without a word after the beginning of an answer."""
        if self._is_answering():
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True  # for the application; what it says from now on is not sent
            self.cycle.message_event.set()
        response = problem_response(error, path="")  # which is not known
        response.headers.update({HEADER: new_request_id(), "connection": "close"})
        lines = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + bytes(response.body))
        self._half_close()

    def _half_close(self) -> None:
        """Says that nothing follows, and reads on: closing a socket with unread data would reset it.

        TLS can't close one half. Its transport writes what is left, says goodbye, and reads until the other side did.
        """
        self._deaf = True
        self._unset_keepalive_if_required()
        self._hold(b"")
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
