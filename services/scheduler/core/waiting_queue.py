"""The waiting requests, in the order of their arrival and in the order of their rank."""

import bisect
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from itertools import islice

from xylem.services.scheduler.core.request import Request

# A step looks at no more than this many requests: the order among thousands would cost more than it gains, and
# whoever is not looked at ages to the front.
LOOKED_AT = 64
SCANNED = 512
# With several tenants waiting a request ages in this time at most: tenants take turns among the aged ones.
TURNS_S = 2.0


def _arrival(entry: tuple[int, Request]) -> int:
    return entry[0]


def _rank(entry: tuple[int, int, Request]) -> tuple[int, int]:
    return entry[:2]


class WaitingQueue:
    """Requests that wait. A request keeps its arrival when it comes back after a retraction."""

    def __init__(self, ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._by_arrival: list[tuple[int, Request]] = []
        self._by_rank: list[tuple[int, int, Request]] = []
        self._by_tenant: dict[str, list[tuple[int, Request]]] = {}  # in the order of arrival; none is empty

    def __len__(self) -> int:
        return len(self._by_arrival)

    def __iter__(self) -> Iterator[Request]:
        """Oldest first."""
        return (request for _, request in self._by_arrival)

    def add(self, request: Request) -> None:
        request.queued = True
        bisect.insort(self._by_arrival, (request.arrival, request))
        bisect.insort(self._by_rank, (request.message.priority, request.arrival, request))
        bisect.insort(self._by_tenant.setdefault(request.message.tenant, []), (request.arrival, request))

    def remove(self, request: Request) -> None:
        request.queued = False
        del self._by_arrival[bisect.bisect_left(self._by_arrival, request.arrival, key=_arrival)]
        del self._by_rank[bisect.bisect_left(self._by_rank, (request.message.priority, request.arrival), key=_rank)]
        of_tenant = self._by_tenant[request.message.tenant]
        del of_tenant[bisect.bisect_left(of_tenant, request.arrival, key=_arrival)]
        if not of_tenant:
            del self._by_tenant[request.message.tenant]

    def aged(self, now: float, running: Callable[[], Mapping[str, int]]) -> list[Request]:
        """The next requests that waited so long that nobody younger goes before them.

        Of one tenant the oldest first. Among tenants, who runs the least goes first, so that a flood of one does not
        keep another waiting. running: how many sequences of each tenant run; asked only when several wait.
        """
        tenants = list(self._by_tenant.values())
        if len(tenants) < 2:
            return [request for _, _, request in islice(self._aged_of(self._by_arrival, 0, now), LOOKED_AT)]
        counts = running()
        fair = merge(*(self._aged_of(each, counts.get(each[0][1].message.tenant, 0), now) for each in tenants))
        return [request for _, _, request in islice(fair, LOOKED_AT)]

    def _has_aged(self, request: Request, now: float) -> bool:
        ageing_s = self._ageing_s if len(self._by_tenant) == 1 else min(self._ageing_s, TURNS_S)
        return now - request.queued_s >= ageing_s

    def _aged_of(
        self, waiting: list[tuple[int, Request]], num_running: int, now: float
    ) -> Iterator[tuple[int, int, Request]]:
        """(sequences of the tenant that go before it, arrival, request)"""
        for arrival, request in islice(waiting, SCANNED):
            if not self._has_aged(request, now):
                return
            if not request.held:
                yield num_running, arrival, request
                num_running += 1

    def young(self, now: float) -> list[Request]:
        """The next ones of the others, by priority and arrival."""
        found: list[Request] = []
        for _, _, request in islice(self._by_rank, SCANNED):
            if len(found) == LOOKED_AT:
                break
            if not self._has_aged(request, now) and not request.held:
                found.append(request)
        return found
