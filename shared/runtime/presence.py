"""Peers are known by heartbeats on core NATS, over the same connection as the traffic.

A peer is dead after three missed heartbeats, at once when it says `bye`, and replaced when its epoch changes. One that
speaks another protocol is ignored, whatever else it says: its messages could not be read.
"""

import asyncio
import logging
from collections.abc import Callable
from math import inf

import msgspec

from xylem.shared.protocol import PROTOCOL_VERSION, Presence, WhoIsThere, subjects
from xylem.shared.runtime.bus import Bus

log = logging.getLogger(__name__)

MISSED = 3
ANY_EPOCH = 0  # in a bye from whoever saw the process end, and does not know in which life

Watcher = Callable[[Presence, bool], None]


class Directory:
    """The peers of one model, as their heartbeats show them."""

    def __init__(self, model: str, *, heartbeat_s: float) -> None:
        self._model = model
        self._timeout_s = heartbeat_s * MISSED
        self._peers: dict[tuple[str, str], Presence] = {}
        self._seen_s: dict[tuple[str, str], float] = {}
        self._refused: dict[tuple[str, str], int] = {}  # the version of each peer that speaks another protocol
        self._watchers: list[Watcher] = []
        self._listeners: list[Callable[[Presence], None]] = []

    async def open(self, bus: Bus, asker: str) -> None:
        """Begins to listen, and asks everybody to show up."""
        await bus.listen(subjects.ALL_PRESENCE, Presence, self._on_presence)
        await bus.barrier()
        await bus.publish(subjects.WHO_IS_THERE, WhoIsThere(asker=asker))

    def on_change(self, callback: Watcher) -> None:
        """Calls back with (presence, alive): arrival, new epoch or state (alive), and bye or death (not alive)."""
        self._watchers.append(callback)

    def on_beat(self, callback: Callable[[Presence], None]) -> None:
        """Calls back with every heartbeat, after what it changes was told."""
        self._listeners.append(callback)

    def known(self, kind: str | None = None) -> list[Presence]:
        """Peers of a kind, or all, in whatever state."""
        return [peer for peer in self._peers.values() if kind in (peer.kind, None)]

    def live(self, kind: str) -> list[Presence]:
        """Peers of a kind that are ready, in the order of their ids."""
        return sorted(
            (peer for peer in self._peers.values() if peer.kind == kind and peer.state == "ready"),
            key=lambda peer: peer.id,
        )

    def find(self, kind: str, instance: str) -> Presence | None:
        """One peer in whatever state, or None when it is dead or has said bye."""
        return self._peers.get((kind, instance))

    def refused(self) -> list[str]:
        """Returns a sentence for each peer that is there, but speaks another protocol."""
        return [_refusal(*key, version) for key, version in sorted(self._refused.items())]

    def expire(self, now_s: float) -> None:
        """Removes the peers whose last heartbeat is too old, and tells watchers. now_s: the event loop's time."""
        for key in [key for key, seen_s in self._seen_s.items() if now_s - seen_s > self._timeout_s]:
            self._leave(key)

    def forgive(self, now_s: float, deaf_s: float = inf) -> None:
        """Nobody is blamed for a silence in which we could not hear. deaf_s: how long that was."""
        self._seen_s = {key: min(seen_s + deaf_s, now_s) for key, seen_s in self._seen_s.items()}

    async def _on_presence(self, presence: Presence) -> None:
        if presence.model != self._model:
            return
        key = (presence.kind, presence.id)
        if presence.version != PROTOCOL_VERSION and presence.epoch != ANY_EPOCH:
            self._refuse(key, presence)
            return
        self._refused.pop(key, None)
        if presence.state == "bye":
            known = self._peers.get(key)
            if known is not None and presence.epoch in (known.epoch, ANY_EPOCH):
                self._leave(key, crashed=presence.crashed)
            return
        known = self._peers.get(key)
        self._peers[key] = presence
        self._seen_s[key] = asyncio.get_running_loop().time()
        if known is None or (known.epoch, known.state) != (presence.epoch, presence.state):
            self._tell(presence, alive=True)
        for listener in self._listeners:
            listener(presence)

    def _refuse(self, key: tuple[str, str], presence: Presence) -> None:
        """Logs an error when it comes, and not with each of its heartbeats."""
        is_new = self._refused.get(key) != presence.version
        self._leave(key)  # a process of another build may have taken the place of one that was known
        if presence.state == "bye":
            return
        if is_new:
            log.error("%s: it is ignored until both are of one version", _refusal(*key, presence.version))
        self._refused[key] = presence.version
        self._seen_s[key] = asyncio.get_running_loop().time()

    def _leave(self, key: tuple[str, str], *, crashed: bool = False) -> None:
        self._refused.pop(key, None)
        peer = self._peers.pop(key, None)
        self._seen_s.pop(key, None)
        if peer is not None:
            self._tell(msgspec.structs.replace(peer, state="bye", crashed=crashed), alive=False)

    def _tell(self, presence: Presence, *, alive: bool) -> None:
        for watcher in self._watchers:
            watcher(presence, alive)


def _refusal(kind: str, instance: str, version: int) -> str:
    return f"{kind} {instance} speaks protocol {version}, this is {PROTOCOL_VERSION}"
