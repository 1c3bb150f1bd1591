"""The stages that a request needs, as heartbeats show them: who is there, what is missing, and since when."""

import asyncio
import math
from contextlib import suppress

from xylem.shared.protocol import Presence
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.presence import Directory

STAGES = ("tokenizer", "router", "scheduler", "executor", "detokenizer")


class PipelineHealth:
    """repair_s: how long a request waits for a stage that has gone missing."""

    def __init__(self, bus: Bus, directory: Directory, repair_s: float) -> None:
        self._bus = bus
        self._directory = directory
        self._repair_s = repair_s
        self._missing_since_s = -math.inf  # since when something is missing; infinity: nothing is
        self._change = asyncio.Event()
        self._next_detokenizer = 0
        self._crashes: dict[tuple[str, str], int] = {}  # the epoch in which a peer crashed last

    def missing(self) -> list[str]:
        """Returns what is not there to serve a request."""
        missing = [kind for kind in STAGES if not self._directory.live(kind)]
        return missing if self._bus.connected else ["NATS", *missing]

    def refused(self) -> list[str]:
        """Returns a sentence for each peer that is there, but speaks another protocol."""
        return self._directory.refused()

    def unservable(self) -> list[str]:
        """Returns what has been missing for so long, or from the beginning, that a request need not wait for it."""
        self._note_missing()
        return self.missing() if _now_s() - self._missing_since_s > self._repair_s else []

    async def ready(self) -> None:
        """Returns when nothing is missing. Raises Unavailable when that takes too long."""
        if not self.missing():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._repair_s):
                while self.missing():
                    self._change.clear()
                    await self._change.wait()
        if missing := self.missing():
            raise Unavailable(f"no live {', '.join(missing)}", retry_after_s=1.0)

    def changed(self) -> None:
        """Somebody has come or gone, or the bus has."""
        self._note_missing()
        self._change.set()

    def pick_detokenizer(self) -> tuple[str, int]:
        """Id and epoch of the next one in turn. Raises Unavailable."""
        live = self._directory.live("detokenizer")
        if not live:
            raise Unavailable("no live detokenizer", retry_after_s=1.0)
        self._next_detokenizer += 1
        peer = live[self._next_detokenizer % len(live)]
        return peer.id, peer.epoch

    def has_crashed(self, kind: str, instance: str, epoch: int) -> bool:
        """Whether a peer is known to have crashed in that life."""
        return self._crashes.get((kind, instance)) == epoch

    def note_crash(self, presence: Presence) -> None:
        """Remembers the last crash of a peer."""
        self._crashes[presence.kind, presence.id] = presence.epoch

    def epoch_of(self, kind: str, instance: str) -> int | None:
        """Returns the epoch of a peer, or None when it is not known."""
        peer = self._directory.find(kind, instance)
        return peer.epoch if peer is not None else None

    async def gone(self, kind: str, instance: str, timeout_s: float) -> bool:
        """Whether a peer that does not answer is dead, for which it waits so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.epoch_of(kind, instance) is not None:
                    self._change.clear()
                    await self._change.wait()
        return self.epoch_of(kind, instance) is None

    def known(self, kind: str | None = None) -> list[Presence]:
        """Everybody of a kind, or all, in whatever state."""
        return self._directory.known(kind)

    def _note_missing(self) -> None:
        if not self.missing():
            self._missing_since_s = math.inf
        elif self._missing_since_s == math.inf:
            self._missing_since_s = _now_s()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
