"""The waiting requests, in the order of their arrival and in the order of their rank."""

import bisect
from collections.abc import Callable, Iterator, Mapping
from heapq import merge
from itertools import islice

from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.request import Request


def _arrival(entry: tuple[int, Request]) -> int:
    return entry[0]


def _rank(entry: tuple[int, int, Request]) -> tuple[int, int]:
    return entry[:2]


def _is_without_tokens(request: Request) -> bool:
    return not request.message.output_ids


class WaitingQueue:
    """Requests that wait. A request keeps its arrival when it comes back after a retraction."""

    def __init__(self, policy: SchedulerPolicy) -> None:
        self._policy = policy
        self._by_arrival: list[tuple[int, Request]] = []
        self._by_rank: list[tuple[int, int, Request]] = []
        self._by_tenant: dict[str, list[tuple[int, Request]]] = {}  # in the order of arrival; none is empty
        self._suspects: list[tuple[int, Request]] = []  # in the order of arrival, and in none of the others

    def __len__(self) -> int:
        return len(self._by_arrival) + len(self._suspects)

    def __iter__(self) -> Iterator[Request]:
        """Yields the requests, oldest first."""
        return (request for _, request in merge(self._by_arrival, self._suspects))

    def add_request(self, request: Request) -> None:
        request.queued = True
        if request.is_suspect:
            bisect.insort(self._suspects, (request.arrival, request))
            return
        bisect.insort(self._by_arrival, (request.arrival, request))
        bisect.insort(self._by_rank, (request.params.priority, request.arrival, request))
        bisect.insort(self._by_tenant.setdefault(request.params.tenant, []), (request.arrival, request))

    def remove_request(self, request: Request) -> None:
        request.queued = False
        if request.is_suspect:
            del self._suspects[bisect.bisect_left(self._suspects, request.arrival, key=_arrival)]
            return
        del self._by_arrival[bisect.bisect_left(self._by_arrival, request.arrival, key=_arrival)]
        del self._by_rank[bisect.bisect_left(self._by_rank, (request.params.priority, request.arrival), key=_rank)]
        of_tenant = self._by_tenant[request.params.tenant]
        del of_tenant[bisect.bisect_left(of_tenant, request.arrival, key=_arrival)]
        if not of_tenant:
            del self._by_tenant[request.params.tenant]

    def next_suspect(self) -> Request | None:
        """Returns the request whose turn on probation it is: those that have tokens go first, and of them the oldest.

        What ends executors has rarely had a token, and so it comes when the others have gone on.
        """
        return min((request for _, request in self._suspects), key=_is_without_tokens, default=None)

    def aged_requests(self, now: float, running: Callable[[], Mapping[str, int]]) -> list[Request]:
        """Returns the next requests that waited so long that no younger one goes before them.

        Requests of one tenant come oldest first. Among tenants, the one that runs the least goes first, so that a flood
        of one does not keep another waiting. running: returns the number of running sequences by tenant; it is called
        only when several tenants wait.
        """
        limit = self._policy.max_examined
        tenants = list(self._by_tenant.values())
        if len(tenants) < 2:
            return [request for _, _, request in islice(self._aged_of(self._by_arrival, 0, now), limit)]
        counts = running()
        fair = merge(*(self._aged_of(each, counts.get(each[0][1].params.tenant, 0), now) for each in tenants))
        return [request for _, _, request in islice(fair, limit)]

    def young_requests(self, now: float) -> list[Request]:
        """Returns the next requests that have not aged, by priority and arrival."""
        found: list[Request] = []
        for _, _, request in islice(self._by_rank, self._policy.max_scanned):
            if len(found) == self._policy.max_examined:
                break
            if not self._has_aged(request, now) and not request.is_waiting_for_prefix:
                found.append(request)
        return found

    def _has_aged(self, request: Request, now: float) -> bool:
        policy = self._policy
        ageing_s = policy.ageing_s if len(self._by_tenant) == 1 else min(policy.ageing_s, policy.tenant_ageing_s)
        return now - request.queued_s >= ageing_s

    def _aged_of(
        self, waiting: list[tuple[int, Request]], num_running: int, now: float
    ) -> Iterator[tuple[int, int, Request]]:
        """Yields (number of the tenant's sequences that go before it, arrival, request)."""
        for arrival, request in islice(waiting, self._policy.max_scanned):
            if not self._has_aged(request, now):
                return
            if not request.is_waiting_for_prefix:
                yield num_running, arrival, request
                num_running += 1
