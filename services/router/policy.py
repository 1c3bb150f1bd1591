"""Which scheduler gets a request. A policy is a class with `choose` and a row in POLICIES."""

from collections.abc import Callable, Sequence
from typing import Protocol

from xylem.services.router.longest_prefix import LongestPrefix
from xylem.services.router.recent_sends import RecentSends
from xylem.shared.protocol import Presence, Tokenized


class Policy(Protocol):
    """Decides from the request and from what the schedulers' heartbeats say."""

    def choose(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Ids of schedulers, the best first; the next ones are tried when it doesn't answer."""


class LeastLoaded:
    """Fewest waiting and running requests, those counted that were sent there since its last heartbeat."""

    def __init__(self) -> None:
        self._sent = RecentSends()

    def choose(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Counts the request as sent to the first."""
        order = sorted(schedulers, key=lambda s: (s.waiting + s.running + self._sent.since(s), s.id))
        if order:
            self._sent.count(order[0], schedulers)
        return [s.id for s in order]


POLICIES: dict[str, Callable[[], Policy]] = {"prefix": LongestPrefix, "load": LeastLoaded}
