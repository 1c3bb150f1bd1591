"""Tells routers what a scheduler's radix trees hold. A gap in `sequence` within an epoch calls for a snapshot."""

from xylem.shared.protocol.base import Message


class CacheEvents(Message, frozen=True, tag="CacheEvents"):
    scheduler: str
    executor: str
    epoch: int
    sequence: int
    inserted: tuple[bytes, ...] = ()  # token columns of the whole prefix up to each inserted page's end
    evicted: tuple[bytes, ...] = ()
