"""Background responses whose gateway died; a live gateway adopts each."""

import asyncio
import logging
import random
from contextlib import suppress

from xylem.services.gateway.apis.openai_responses.store.archive import Archive
from xylem.services.gateway.generation.context import Context
from xylem.shared.protocol import Presence
from xylem.shared.runtime.errors import Unavailable, XylemError
from xylem.shared.runtime.presence import MISSED

log = logging.getLogger(__name__)


class OrphanedResponses:
    """Looks for them at the start, whenever a gateway dies, and now and then, in case that a message was lost."""

    def __init__(self, context: Context, archive: Archive) -> None:
        self._context = context
        self._policy = context.policy.response_store
        self._archive = archive
        self._wake = asyncio.Event()

    def on_peer(self, peer: Presence, alive: bool) -> None:
        if peer.kind == "gateway" and not alive:
            self.look()

    def look(self) -> None:
        """Wakes the scan for orphaned responses."""
        self._wake.set()

    async def adopt_orphans(self) -> None:
        """Runs as long as the gateway lives. A bucket that does not serve is tried again and again."""
        await asyncio.sleep(MISSED * self._context.settings.heartbeat_s)  # by then all that live have been heard
        while True:
            self._wake.clear()
            pause_s = self._policy.orphan_scan_s if await self._look() else self._policy.store_retry_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _look(self) -> bool:
        """False when the bucket does not serve, which it says in the log itself."""
        try:
            unfinished = await self._archive.record_store.unfinished()
        except Unavailable:
            return False
        random.shuffle(unfinished)  # other gateways look, too: so each gets some
        await asyncio.gather(*map(self._take_in, unfinished))
        return True

    async def _take_in(self, identity: str) -> None:
        try:
            await self._archive.take_in(identity)
        except XylemError as error:
            log.warning("can't go on with %s: %s", identity, error.message)
