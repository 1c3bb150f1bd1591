"""The responses in this gateway's memory: those that it makes, and those that somebody has read here, within bounds."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from xylem.services.gateway.apis.openai_responses.run import ResponseRun
from xylem.services.gateway.apis.openai_responses.store.record import Record

_encoder = msgspec.json.Encoder()


@dataclass(slots=True, eq=False)
class StoredInMemory:
    """One response. revision: of its record in the bucket; 0: it is not there."""

    record: Record
    run: ResponseRun
    revision: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)  # the record says more than the bucket
    stored: asyncio.Event = field(default_factory=asyncio.Event)
    is_removed: bool = False
    num_bytes: int = 0  # once it has ended


class MemoryStore:
    """The longest unused goes first when there are too many or they are too large; a running one stays."""

    def __init__(self, max_number: int, max_bytes: int) -> None:
        self._max_number = max_number
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, StoredInMemory] = OrderedDict()  # the longest unused first
        self.num_bytes = 0

    def __contains__(self, kept: StoredInMemory) -> bool:
        return self._kept.get(kept.record.id) is kept

    def running(self) -> Iterator[StoredInMemory]:
        return iter([kept for kept in self._kept.values() if not kept.run.has_ended])

    def add(self, kept: StoredInMemory) -> None:
        """Keeps a response that is being made; `settle` is called with it in the end."""
        self._kept[kept.record.id] = kept
        self._make_room()

    def settle(self, kept: StoredInMemory) -> None:
        """It has ended: from now on its size counts, and it may have to go."""
        if kept in self:
            kept.num_bytes = len(_encoder.encode(kept.record)) + kept.run.log.num_bytes
            self.num_bytes += kept.num_bytes
            self._make_room()

    def find(self, identity: str) -> StoredInMemory | None:
        kept = self._kept.get(identity)
        if kept is not None:
            self._kept.move_to_end(identity)
        return kept

    def forget(self, kept: StoredInMemory) -> None:
        if kept in self:
            del self._kept[kept.record.id]
            self.num_bytes -= kept.num_bytes

    def _make_room(self) -> None:
        if self._fits():
            return
        for kept in list(self._kept.values()):
            if kept.run.has_ended:
                self.forget(kept)
            if self._fits():
                return

    def _fits(self) -> bool:
        return len(self._kept) <= self._max_number and self.num_bytes <= self._max_bytes
