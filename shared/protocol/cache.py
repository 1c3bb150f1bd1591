"""What a scheduler's trees hold, told to routers. A gap in `sequence` within an epoch means: ask for a snapshot."""

from xylem.shared.protocol.base import Message


class CacheEvents(Message, frozen=True, tag="CacheEvents"):
    scheduler: str
    executor: str
    epoch: int
    sequence: int
    inserted: tuple[bytes, ...] = ()  # token columns of the whole prefix up to each inserted page's end
    evicted: tuple[bytes, ...] = ()
