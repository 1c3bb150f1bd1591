"""How many requests went to each scheduler since its last heartbeat."""

from collections.abc import Sequence

from xylem.shared.protocol import Presence


class RecentSends:
    """Heartbeats are rarer than requests: without the count, all of a burst would go to the same scheduler."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[Presence, int]] = {}

    def since(self, scheduler: Presence) -> int:
        """Requests sent there that its heartbeat does not know of."""
        heartbeat, count = self._counts.get(scheduler.id, (None, 0))
        return count if heartbeat is scheduler else 0

    def count(self, chosen: Presence, schedulers: Sequence[Presence]) -> None:
        """One more for `chosen`; forgets whoever is not there any more."""
        self._counts = {s.id: (s, self.since(s) + (s is chosen)) for s in schedulers}
