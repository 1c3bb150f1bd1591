"""Number of requests sent to each scheduler since its last heartbeat."""

from collections.abc import Sequence

from xylem.shared.protocol import Presence


class RecentSends:
    """Heartbeats are rarer than requests: without this count, a whole burst would go to the same scheduler."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[Presence, int]] = {}

    def num_since(self, scheduler: Presence) -> int:
        """Returns the number of requests sent to `scheduler` that its heartbeat does not include."""
        heartbeat, count = self._counts.get(scheduler.id, (None, 0))
        return count if heartbeat is scheduler else 0

    def record_send(self, chosen: Presence, schedulers: Sequence[Presence]) -> None:
        """Counts a request sent to `chosen`, and drops schedulers that are not in `schedulers` any more."""
        self._counts = {s.id: (s, self.num_since(s) + (s is chosen)) for s in schedulers}
