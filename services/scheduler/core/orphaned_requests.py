"""Requests whose gateway is gone. They run on for a grace period: their client may reconnect through another one."""

import math
from collections import deque
from collections.abc import Iterable

from xylem.services.scheduler.core.request import Request


class OrphanedRequests:
    """Remembers when gateways left. grace_s: how long their requests live on."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        # End of the grace period, gateway, first arrival that it does not concern.
        self._gone: deque[tuple[float, str, int]] = deque()

    def add_gateway(self, gateway: str, next_arrival: int, now: float) -> None:
        """Starts the grace period of the requests that `gateway` submitted before arrival number `next_arrival`."""
        self._gone.append((now + self._grace_s, gateway, next_arrival))

    def next_due_s(self) -> float:
        """Returns when the next grace period ends, or infinity."""
        return self._gone[0][0] if self._gone else math.inf

    def take_due(self, requests: Iterable[Request], now: float) -> list[Request]:
        """Returns those of `requests` whose grace period is over and that no gateway has adopted."""
        over: dict[str, int] = {}
        while self._gone and self._gone[0][0] <= now:
            _, gateway, next_arrival = self._gone.popleft()
            over[gateway] = next_arrival
        if not over:
            return []
        return [request for request in requests if request.owned_from < over.get(request.message.gateway, -1)]
