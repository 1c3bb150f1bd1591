"""Request bodies that are compressed with gzip or zstd: unpacked in small steps, never beyond the largest body."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator
from typing import Protocol

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xylem.services.gateway.http.errors import problem_response
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import InvalidRequest, PayloadTooLarge, UnsupportedCoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUPPORTED = "gzip, zstd"


class _Decompressor(Protocol):
    """Has what the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the interface of zstd's."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        content = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(content) < max_length
        return content


def _decompressor(coding: str, max_window_bits: int) -> _Decompressor:
    if coding == "zstd":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: max_window_bits})
    return _Gzip()


class UnpackedBody:
    """Hands on the bodies of requests as they were before they were compressed. max_bytes bounds those, too."""

    def __init__(self, app: ASGIApp, max_bytes: int, policy: HttpPolicy) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(raw=list(scope["headers"]))
        coding = ", ".join(headers.getlist("content-encoding")).strip().lower()
        if coding in ("", "identity"):
            await self._app(scope, receive, send)
            return
        coding = coding.removeprefix("x-")
        if coding not in ("gzip", "zstd"):
            refused = UnsupportedCoding(
                f"Content-Encoding {coding[:80]} is not supported; {SUPPORTED} are, one at a time"
            )
            response = problem_response(refused, scope["path"])
            response.headers["accept-encoding"] = SUPPORTED
            await response(scope, receive, send)
            return
        del headers["content-encoding"], headers["content-length"]
        contents = _unpacked(receive, coding, self._policy)
        num_bytes = 0
        complete = False

        async def unpacked() -> Message:
            nonlocal num_bytes, complete
            if complete:
                return await receive()  # which waits for the client's leaving
            await asyncio.sleep(0)  # others are served between two steps
            content = await anext(contents, None)
            complete = content is None
            num_bytes += len(content or b"")
            if num_bytes > self._max_bytes:
                raise PayloadTooLarge(f"the body has {num_bytes} bytes or more unpacked; {self._max_bytes} are allowed")
            return {"type": "http.request", "body": content or b"", "more_body": not complete}

        scope["headers"] = headers.raw
        await self._app(scope, unpacked, send)


async def _unpacked(receive: Receive, coding: str, policy: HttpPolicy) -> AsyncIterator[bytes]:
    """Yields the content, unpack_step_bytes at most at once. Raises InvalidRequest, ClientDisconnect.

    Both codings allow for several frames, one after the other; each costs memory, and so there is a bound.
    """
    frame: _Decompressor | None = None
    num_frames = 0
    async for packed in _packed(receive, policy.unpack_step_bytes):
        left = packed
        while left or not (frame is None or frame.needs_input):
            if frame is None:
                num_frames += 1
                if num_frames > policy.max_packed_frames:
                    raise InvalidRequest(f"the body is {coding} in more than {policy.max_packed_frames} parts")
                frame = _decompressor(coding, policy.max_window_bits)
            try:
                yield frame.decompress(left, policy.unpack_step_bytes)
            except (zlib.error, zstd.ZstdError):
                raise InvalidRequest(f"the body is no valid {coding}") from None
            left, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None or not num_frames:
        raise InvalidRequest(f"the body is no valid {coding}: it ends too early")


async def _packed(receive: Receive, step_bytes: int) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        body, more = message.get("body", b""), message.get("more_body", False)
        for start in range(0, len(body), step_bytes):
            yield body[start : start + step_bytes]
