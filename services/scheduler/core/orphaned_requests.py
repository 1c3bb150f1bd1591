"""Requests whose gateway is gone. They run on for a while: their client may come back through another one."""

import math
from collections import deque
from collections.abc import Iterable

from xylem.services.scheduler.core.request import Request


class OrphanedRequests:
    """Which gateways went when. grace_s: how long their requests live on."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._gone: deque[tuple[float, str, int]] = deque()  # when it is over, gateway, first arrival not concerned

    def gateway_left(self, gateway: str, next_arrival: int, now: float) -> None:
        """What it submitted before `next_arrival` has lost its reader."""
        self._gone.append((now + self._grace_s, gateway, next_arrival))

    def next_due_s(self) -> float:
        return self._gone[0][0] if self._gone else math.inf

    def due(self, requests: Iterable[Request], now: float) -> list[Request]:
        """The requests whose time is over, and that nobody has adopted."""
        over: dict[str, int] = {}
        while self._gone and self._gone[0][0] <= now:
            _, gateway, next_arrival = self._gone.popleft()
            over[gateway] = next_arrival
        if not over:
            return []
        return [request for request in requests if request.owned_from < over.get(request.message.gateway, -1)]
