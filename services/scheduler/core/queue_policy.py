"""Queue policies: the order in which waiting requests are tried.

A policy is a function, a row of QUEUE_POLICIES, and its name in `SchedulerSettings.queue_policy`. It orders
requests that have not aged: aged ones go first, oldest first, under every policy.
"""

from collections.abc import Callable

from xylem.services.scheduler.core.request import Request

QueuePolicy = Callable[[list[Request], Callable[[Request], int]], list[Request]]


def longest_prefix_first(requests: list[Request], num_cached: Callable[[Request], int]) -> list[Request]:
    """Orders by cached prefix, longest first: a hot prefix is used before it is evicted, and long hits cost little."""
    return sorted(requests, key=lambda request: (request.params.priority, -num_cached(request), request.arrival))


def first_come_first_served(requests: list[Request], num_cached: Callable[[Request], int]) -> list[Request]:
    """Keeps the order of the queue: by priority, then by arrival."""
    return requests


QUEUE_POLICIES: dict[str, QueuePolicy] = {"prefix": longest_prefix_first, "fifo": first_come_first_served}
