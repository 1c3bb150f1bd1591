"""Which scheduler gets a request. A policy is a class with `choose` and a row in POLICIES."""

from collections.abc import Callable, Sequence
from typing import Protocol

from shared.messages import Presence, Tokenized


class Policy(Protocol):
    """Decides from the request and from what the schedulers' heartbeats say."""

    def choose(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Ids of schedulers, the best first; the next ones are tried when it doesn't answer."""


class LeastLoaded:
    """Fewest waiting and running requests, those counted that were sent there since its last heartbeat."""

    def __init__(self) -> None:
        self._sent: dict[str, tuple[Presence, int]] = {}

    def choose(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Counts the request as sent to the first."""
        # Heartbeats are rarer than requests: without the count, all of a burst would go to the same scheduler.
        sent = {s.id: self._sent_since(s) for s in schedulers}
        order = sorted(schedulers, key=lambda s: (s.waiting + s.running + sent[s.id], s.id))
        self._sent = {s.id: (s, sent[s.id] + (s is order[0])) for s in schedulers}
        return [s.id for s in order]

    def _sent_since(self, scheduler: Presence) -> int:
        heartbeat, count = self._sent.get(scheduler.id, (None, 0))
        return count if heartbeat is scheduler else 0


POLICIES: dict[str, Callable[[], Policy]] = {"load": LeastLoaded}
