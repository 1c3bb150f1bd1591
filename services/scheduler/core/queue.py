"""The waiting requests, in the order of their arrival and in the order of their rank."""

import bisect
from collections.abc import Iterator
from itertools import islice

from services.scheduler.core.request import Request

# A step looks at no more than this many requests: the order among thousands would cost more than it gains, and
# whoever is not looked at ages to the front.
LOOKED_AT = 64
SCANNED = 512


def _arrival(entry: tuple[int, Request]) -> int:
    return entry[0]


def _rank(entry: tuple[int, int, Request]) -> tuple[int, int]:
    return entry[:2]


class Queue:
    """Requests that wait. A request keeps its arrival when it comes back after a retraction."""

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._by_arrival: list[tuple[int, Request]] = []
        self._by_rank: list[tuple[int, int, Request]] = []

    def __len__(self) -> int:
        return len(self._by_arrival)

    def __iter__(self) -> Iterator[Request]:
        """Oldest first."""
        return (request for _, request in self._by_arrival)

    def add(self, request: Request) -> None:
        request.queued = True
        bisect.insort(self._by_arrival, (request.arrival, request))
        bisect.insort(self._by_rank, (request.message.priority, request.arrival, request))

    def remove(self, request: Request) -> None:
        request.queued = False
        del self._by_arrival[bisect.bisect_left(self._by_arrival, request.arrival, key=_arrival)]
        del self._by_rank[bisect.bisect_left(self._by_rank, (request.message.priority, request.arrival), key=_rank)]

    def aged(self, now: float) -> list[Request]:
        """The next requests that waited so long that nobody younger goes before them, oldest first."""
        found: list[Request] = []
        for _, request in islice(self._by_arrival, SCANNED):
            if now - request.queued_s < self._ageing_s or len(found) == LOOKED_AT:
                break
            if not request.held:
                found.append(request)
        return found

    def young(self, now: float) -> list[Request]:
        """The next ones of the others, by priority and arrival."""
        found: list[Request] = []
        for _, _, request in islice(self._by_rank, SCANNED):
            if len(found) == LOOKED_AT:
                break
            if now - request.queued_s < self._ageing_s and not request.held:
                found.append(request)
        return found
