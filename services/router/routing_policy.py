"""Routing policies: which scheduler gets a request.

A policy is a class in a file of its own, a row of ROUTING_POLICIES, and its name in `RouterSettings.routing_policy`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from xylem.services.router.least_loaded import LeastLoaded
from xylem.services.router.longest_prefix import LongestPrefix
from xylem.services.router.policy import RouterPolicy
from xylem.shared.protocol import Presence, Tokenized


class RoutingPolicy(Protocol):
    """Decides from the request and from the schedulers' heartbeats."""

    def select_schedulers(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Returns ids of schedulers, the best first; the next is tried when one does not answer."""


ROUTING_POLICIES: dict[str, Callable[[RouterPolicy], RoutingPolicy]] = {"prefix": LongestPrefix, "load": LeastLoaded}
