"""Routing by load alone."""

from collections.abc import Sequence

from xylem.services.router.policy import RouterPolicy
from xylem.services.router.recent_sends import RecentSends
from xylem.shared.protocol import Presence, Tokenized


class LeastLoaded:
    """Selects the scheduler with the fewest waiting and running requests, those sent since its heartbeat included."""

    def __init__(self, policy: RouterPolicy) -> None:
        """policy: not used, since every request counts alike; all routing policies are made in one way."""
        self._recent_sends = RecentSends()

    def select_schedulers(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Returns the ids, least loaded first, and counts the request as sent to the first."""
        order = sorted(schedulers, key=lambda s: (s.waiting + s.running + self._recent_sends.num_since(s), s.id))
        if order:
            self._recent_sends.record_send(order[0], schedulers)
        return [s.id for s in order]
