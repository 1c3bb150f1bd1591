"""Keeps the record of a response that this gateway makes as it is."""

import asyncio
import logging

from xylem.services.gateway.apis.openai_responses.store.memory_store import MemoryStore, StoredInMemory
from xylem.services.gateway.apis.openai_responses.store.record_store import RecordStore
from xylem.shared.runtime.bucket import Stale
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable

log = logging.getLogger(__name__)

RETRY_S = 5.0


class RecordWriter:
    """owner: this gateway, as records name it."""

    def __init__(self, ledger: RecordStore, memory: MemoryStore, owner: str) -> None:
        self._ledger = ledger
        self._memory = memory
        self._owner = owner

    async def run(self, kept: StoredInMemory) -> None:
        """Has the bucket say what is true of it, as often as that changes, until it has ended or is not ours any more.

        A bucket that does not answer is asked again as long as the response is in memory.
        """
        while not kept.run.is_dropped:
            await kept.news.wait()
            kept.news.clear()
            try:
                if not await self._write(kept):
                    break
            except PayloadTooLarge as error:
                log.warning("%s lives no longer than this gateway: %s", kept.record.id, error.message)
                return
            except Unavailable as error:
                if kept.is_removed or (kept.run.has_ended and kept not in self._memory):
                    return
                log.warning("%s is not stored yet: %s", kept.record.id, error.message)
                await asyncio.sleep(RETRY_S)
                kept.news.set()
        if kept.run.is_dropped:
            self._memory.forget(kept)

    async def _write(self, kept: StoredInMemory) -> bool:
        """False when there is nothing more to write."""
        if kept.is_removed:
            if kept.revision:
                await self._ledger.remove(kept.record.id)
            return False
        record = kept.record
        try:
            kept.revision = await self._ledger.put(record, kept.revision)
        except Stale:
            entry = await self._ledger.get(record.id)
            if entry is None or entry[0].owner != self._owner:
                log.warning("%s is another gateway's now", record.id)
                kept.run.drop()
                return False
            kept.revision = entry[1]  # an answer was lost
            kept.news.set()
            return True
        kept.stored.set()
        return record.final is None or kept.is_removed
