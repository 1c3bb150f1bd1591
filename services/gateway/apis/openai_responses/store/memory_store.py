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
        self._in_memory: OrderedDict[str, StoredInMemory] = OrderedDict()  # the longest unused first
        self.num_bytes = 0

    def __contains__(self, in_memory: StoredInMemory) -> bool:
        return self._in_memory.get(in_memory.record.id) is in_memory

    def running(self) -> Iterator[StoredInMemory]:
        return iter([in_memory for in_memory in self._in_memory.values() if not in_memory.run.has_ended])

    def add_response(self, in_memory: StoredInMemory) -> None:
        """Keeps a response that is being made; `settle` is called with it in the end."""
        self._in_memory[in_memory.record.id] = in_memory
        self._make_room()

    def settle_response(self, in_memory: StoredInMemory) -> None:
        """It has ended: from now on its size counts, and it may have to go."""
        if in_memory in self:
            in_memory.num_bytes = len(_encoder.encode(in_memory.record)) + in_memory.run.log.num_bytes
            self.num_bytes += in_memory.num_bytes
            self._make_room()

    def find_response(self, identity: str) -> StoredInMemory | None:
        in_memory = self._in_memory.get(identity)
        if in_memory is not None:
            self._in_memory.move_to_end(identity)
        return in_memory

    def forget_response(self, in_memory: StoredInMemory) -> None:
        if in_memory in self:
            del self._in_memory[in_memory.record.id]
            self.num_bytes -= in_memory.num_bytes

    def _make_room(self) -> None:
        if self._fits():
            return
        for in_memory in list(self._in_memory.values()):
            if in_memory.run.has_ended:
                self.forget_response(in_memory)
            if self._fits():
                return

    def _fits(self) -> bool:
        return len(self._in_memory) <= self._max_number and self.num_bytes <= self._max_bytes
