"""In which order waiting requests are tried. A policy is a function and a row of POLICIES.

It orders what is not yet aged: aged requests go first, oldest first, under every policy.
"""

from collections.abc import Callable

from xylem.services.scheduler.core.request import Request

Policy = Callable[[list[Request], Callable[[Request], int]], list[Request]]


def prefix(requests: list[Request], num_cached: Callable[[Request], int]) -> list[Request]:
    """Longest cached prefix first: what is hot is used before it is evicted, and long hits cost little to read."""
    return sorted(requests, key=lambda request: (request.message.priority, -num_cached(request), request.arrival))


def fifo(requests: list[Request], num_cached: Callable[[Request], int]) -> list[Request]:
    """First come, first served, within a priority."""
    return requests


POLICIES: dict[str, Policy] = {"prefix": prefix, "fifo": fifo}
