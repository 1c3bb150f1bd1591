"""The body of one request, cut out of the bytes of its connection (RFC 9112, 6 and 7).

llhttp has no bound for chunk extensions and trailers, so bodies are read here and it reads heads only.
"""

import re
from typing import NamedTuple, Protocol

from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import HeadTooLarge, InvalidRequest

# Up to 16 digits, and extensions that nobody here knows.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n")


class BodyPart(NamedTuple):
    """Holds what a turn found: content, and how many bytes were taken to get it."""

    content: bytes
    num_taken: int


class RequestBody(Protocol):
    """Reads one body. `complete` is true from its last byte on, for one without content at once."""

    complete: bool

    def feed_data(self, data: bytes) -> BodyPart:
        """Takes bytes from the front of data: all of them, unless the body ends or a turn's work is done."""


class SizedBody:
    """A body whose length the head has told."""

    def __init__(self, num_bytes: int) -> None:
        self._num_left = num_bytes
        self.complete = num_bytes == 0

    def feed_data(self, data: bytes) -> BodyPart:
        content = data[: self._num_left]
        self._num_left -= len(content)
        self.complete = self._num_left == 0
        return BodyPart(content, len(content))


class ChunkedBody:
    """A body in chunks. Extensions and trailers are bounded, checked for their form, and dropped."""

    def __init__(self, policy: HttpPolicy) -> None:
        self.complete = False
        self._policy = policy
        self._line = bytearray()  # the beginning of one whose end has not come
        self._num_left = 0  # bytes of the chunk
        self._in_chunk = False  # its content, or the line end after it
        self._in_trailers = False
        self._num_framing_bytes = 0
        self._num_trailers = 0
        self._num_trailer_bytes = 0

    def feed_data(self, data: bytes) -> BodyPart:
        """Raises InvalidRequest, HeadTooLarge. One turn reads max_chunks_per_turn chunks or trailers at most."""
        contents = []
        position = 0
        for _ in range(2 * self._policy.max_chunks_per_turn):  # a chunk is two lines, one of them empty
            if position == len(data) or self.complete:
                break
            if self._num_left:
                contents.append(data[position : position + self._num_left])
                self._num_left -= len(contents[-1])
                position += len(contents[-1])
            else:
                position += self._take_line(data, position)
        return BodyPart(b"".join(contents), position)

    def _take_line(self, data: bytes, start: int) -> int:
        limit = self._policy.max_trailer_bytes if self._in_trailers else self._policy.max_chunk_line_bytes
        room = limit - len(self._line)
        end = data.find(b"\n", start, start + room) + 1
        part = data[start : end or start + room]
        self._line += part
        self._num_framing_bytes += len(part)
        if self._num_framing_bytes > self._policy.max_framing_bytes:
            raise InvalidRequest(
                f"the body's chunks take more than {self._policy.max_framing_bytes} bytes beside its content:"
                " they are too small"
            )
        if end:
            line = bytes(self._line)
            self._line.clear()
            self._on_line(line)
        elif len(part) == room:
            raise self._line_too_long(limit)
        return len(part)

    def _on_line(self, line: bytes) -> None:
        if self._in_chunk:
            if line != b"\r\n":
                raise InvalidRequest("a chunk of the body is longer than it says")
            self._in_chunk = False
        elif self._in_trailers:
            self._on_trailer(line)
        else:
            matched = _SIZE_LINE.fullmatch(line)
            if matched is None:
                raise InvalidRequest("the size of a chunk is not 1 to 16 hexadecimal digits")
            self._num_left = int(matched[1], 16)
            self._in_chunk = self._num_left > 0
            self._in_trailers = not self._in_chunk

    def _on_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.complete = True
            return
        self._num_trailers += 1
        self._num_trailer_bytes += len(line)
        if self._num_trailers > self._policy.max_trailers or self._num_trailer_bytes > self._policy.max_trailer_bytes:
            raise self._too_many_trailers()
        if not _TRAILER_LINE.fullmatch(line):
            raise InvalidRequest("a field after the body has no valid form")

    def _line_too_long(self, limit: int) -> InvalidRequest | HeadTooLarge:
        if self._in_trailers:
            return self._too_many_trailers()
        return InvalidRequest(f"the line before a chunk has more than {limit} bytes")

    def _too_many_trailers(self) -> HeadTooLarge:
        most, most_bytes = self._policy.max_trailers, self._policy.max_trailer_bytes
        return HeadTooLarge(f"{most} fields with {most_bytes} bytes may follow a body, and here are more")
