"""Who is there: heartbeats on core NATS, over the same connection as the traffic.

A peer is dead after three missed heartbeats, at once when it says `bye`, and replaced when its epoch changes.
"""

import asyncio
from collections.abc import Callable
from math import inf

import msgspec

from xylem.shared.protocol import Presence, WhoIsThere, subjects
from xylem.shared.runtime.bus import Bus

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

    def expire(self, now_s: float) -> None:
        """Buries the peers whose last heartbeat is too old. now_s: the event loop's time."""
        for key in [key for key, seen_s in self._seen_s.items() if now_s - seen_s > self._timeout_s]:
            self._leave(key)

    def forgive(self, now_s: float, deaf_s: float = inf) -> None:
        """Nobody is blamed for a silence in which we could not hear. deaf_s: how long that was."""
        self._seen_s = {key: min(seen_s + deaf_s, now_s) for key, seen_s in self._seen_s.items()}

    async def _on_presence(self, presence: Presence) -> None:
        if presence.model != self._model:
            return
        key = (presence.kind, presence.id)
        if presence.state == "bye":
            known = self._peers.get(key)
            if known is not None and presence.epoch in (known.epoch, ANY_EPOCH):
                self._leave(key)
            return
        known = self._peers.get(key)
        self._peers[key] = presence
        self._seen_s[key] = asyncio.get_running_loop().time()
        if known is None or (known.epoch, known.state) != (presence.epoch, presence.state):
            self._tell(presence, alive=True)
        for listener in self._listeners:
            listener(presence)

    def _leave(self, key: tuple[str, str]) -> None:
        peer = self._peers.pop(key, None)
        self._seen_s.pop(key, None)
        if peer is not None:
            self._tell(msgspec.structs.replace(peer, state="bye"), alive=False)

    def _tell(self, presence: Presence, *, alive: bool) -> None:
        for watcher in self._watchers:
            watcher(presence, alive)
