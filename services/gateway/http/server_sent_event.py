"""One server-sent event as bytes (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from typing import Protocol

import msgspec

DONE = b"data: [DONE]\n\n"

_encoder = msgspec.json.Encoder()


class NamedChunk(Protocol):
    """The data of an event that has a name."""

    @property
    def type(self) -> str:
        """Returns the event's name."""


def event(data: object) -> bytes:
    """Returns an event without a name."""
    return b"data: " + _encoder.encode(data) + b"\n\n"


def named_event(chunk: NamedChunk) -> bytes:
    """Returns an event with the chunk's type as its name."""
    return f"event: {chunk.type}\n".encode() + event(chunk)
