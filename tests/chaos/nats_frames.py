"""Cuts the byte stream of a NATS connection into its protocol lines, each with its payload."""

from collections.abc import Iterator
from dataclasses import dataclass

SIZED = {b"PUB", b"HPUB", b"MSG", b"HMSG"}  # a payload follows; its length is the line's last word
END = b"\r\n"


@dataclass(frozen=True)
class Frame:
    """`data` is all of it, as it came."""

    verb: bytes
    subject: str
    data: bytes


class Frames:
    """Feed it bytes in whatever pieces; it gives whole frames in their order."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._rest += data
        while (frame := self._next()) is not None:
            self._rest = self._rest[len(frame.data) :]
            yield frame

    def _next(self) -> Frame | None:
        end = self._rest.find(END)
        if end < 0:
            return None
        words = self._rest[:end].split()
        verb = words[0].upper() if words else b""
        length = end + len(END)
        if verb in SIZED:
            length += int(words[-1]) + len(END)
        if len(self._rest) < length:
            return None
        subject = words[1].decode() if verb in SIZED else ""
        return Frame(verb, subject, self._rest[:length])
