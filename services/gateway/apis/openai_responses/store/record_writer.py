"""Keeps the record of a response that this gateway makes as it is."""

import asyncio
import logging

from xylem.services.gateway.apis.openai_responses.store.memory_store import MemoryStore, StoredInMemory
from xylem.services.gateway.apis.openai_responses.store.record_store import RecordStore
from xylem.shared.runtime.bucket import Stale
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable

log = logging.getLogger(__name__)


class RecordWriter:
    """owner: this gateway, as records name it. retry_s: the pause before a record is written once more."""

    def __init__(self, record_store: RecordStore, memory: MemoryStore, owner: str, retry_s: float) -> None:
        self._record_store = record_store
        self._memory = memory
        self._owner = owner
        self._retry_s = retry_s

    async def write_changes(self, in_memory: StoredInMemory) -> None:
        """Writes the record whenever it changes, until the response ends or another gateway owns it.

        A bucket that does not answer is asked again as long as the response is in memory.
        """
        while not in_memory.run.is_dropped:
            await in_memory.news.wait()
            in_memory.news.clear()
            try:
                if not await self._write(in_memory):
                    break
            except PayloadTooLarge as error:
                log.warning("%s lives no longer than this gateway: %s", in_memory.record.id, error.message)
                return
            except Unavailable:  # the bucket says so once for all records
                if in_memory.is_removed or (in_memory.run.has_ended and in_memory not in self._memory):
                    return
                await asyncio.sleep(self._retry_s)
                in_memory.news.set()
        if in_memory.run.is_dropped:
            self._memory.forget_response(in_memory)

    async def _write(self, in_memory: StoredInMemory) -> bool:
        """False when there is nothing more to write."""
        if in_memory.is_removed:
            if in_memory.revision:
                await self._record_store.remove_record(in_memory.record.id)
            return False
        record = in_memory.record
        try:
            in_memory.revision = await self._record_store.put_record(record, in_memory.revision)
        except Stale:
            entry = await self._record_store.get_record(record.id)
            if entry is None or entry[0].owner != self._owner:
                log.warning("%s is another gateway's now", record.id)
                in_memory.run.drop()
                return False
            in_memory.revision = entry[1]  # an answer was lost
            in_memory.news.set()
            return True
        in_memory.stored.set()
        return record.final is None or in_memory.is_removed
