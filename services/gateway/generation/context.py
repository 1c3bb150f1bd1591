"""This module holds what the routes work with."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.requests import Request

from xylem.services.gateway.api_keys import Key, Keys
from xylem.services.gateway.generation.request_state_table import RequestStateTable
from xylem.services.gateway.generation.running_sessions import RunningSessions
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.metrics import Metrics
from xylem.services.gateway.policy import GatewayPolicy
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import QueueFull, Unavailable
from xylem.shared.runtime.settings import GatewaySettings


class OpenRequests(NamedTuple):
    """Says how many requests may be open at once, and how many are."""

    limit: int
    num_open: int

    @property
    def num_left(self) -> int:
        return max(0, self.limit - self.num_open)


@dataclass(slots=True)
class Context:
    """One per gateway. `accepting` is false from the beginning of the drain on."""

    settings: GatewaySettings
    policy: GatewayPolicy
    bus: Bus
    request_states: RequestStateTable
    metrics: Metrics
    served_model: ServedModel
    card: ModelCard
    created: int
    spawn: Callable[..., "asyncio.Task[None]"]
    keys: Keys | None = None
    accepting: bool = False
    running: RunningSessions = field(default_factory=RunningSessions)
    store_trouble: Callable[[], str] = str  # why answers of /v1/responses are not stored now; empty when they are
    questions: Counter[str] = field(default_factory=Counter)  # by tenant: those open now, see `asking`

    @property
    def response_timeout_s(self) -> float:
        """Returns how long a response may be sent: as long as its choices may take, and then a while."""
        return self.settings.request_timeout_s + self.policy.http.send_grace_s

    def missing(self) -> list[str]:
        """Why nothing can be served now; empty when it can."""
        return self.request_states.pipeline_health.missing() if self.accepting else ["gateway that accepts requests"]

    def admit(self, num_choices: int, key: Key | None = None) -> None:
        """Raises Unavailable when nobody could serve it, QueueFull when too much is open here, or of this key.

        A stage that has only just gone missing is no reason: the request waits until it is back.
        """
        if missing := self.request_states.pipeline_health.unservable() if self.accepting else self.missing():
            raise Unavailable(f"no live {', '.join(missing)}", retry_after_s=1.0)
        self._check_room(num_choices, key)

    @contextmanager
    def asking(self, key: Key | None) -> Iterator[None]:
        """Around a question to a tokenizer, which costs as much as a prompt: it counts as open. Raises QueueFull."""
        self._check_room(1, key)
        tenant = key.name if key is not None else ""
        self.questions[tenant] += 1
        try:
            yield
        finally:
            self.questions -= Counter([tenant])

    def open_requests(self, key: Key | None) -> OpenRequests | None:
        """Returns what is open of this key, of everybody without one; None when it has no limit of its own."""
        if key is None:
            return OpenRequests(
                self.settings.max_open_requests, self.request_states.num_counted + self.questions.total()
            )
        limit = self.settings.max_open_requests_per_key if key.max_open_requests is None else key.max_open_requests
        num_open = self.request_states.num_open_of(key.name) + self.questions[key.name]
        return OpenRequests(limit, num_open) if limit else None

    def _check_room(self, num_choices: int, key: Key | None) -> None:
        everybody = self.open_requests(None)
        assert everybody is not None
        limit, num_open = everybody
        if num_open + num_choices > limit:
            raise QueueFull(
                f"{num_open} sequences are open here and {num_choices} more are asked for; {limit} are allowed",
                retry_after_s=1.0,
            )
        if key is not None:
            self._check_room_of(key, num_choices)

    def _check_room_of(self, key: Key, num_choices: int) -> None:
        own = self.open_requests(key)
        if own is not None and own.num_open + num_choices > own.limit:
            name = "max_open_requests_per_key" if key.max_open_requests is None else "max_open_requests"
            raise QueueFull(
                f"{own.num_open} sequences of {key.name} are open and {num_choices} more are asked for;"
                f" its {name} is {own.limit}",
                retry_after_s=1.0,
            )


def key_of(request: Request) -> Key | None:
    """The key that this HTTP request has shown; None where everybody is let in."""
    key = request.scope.get("xylem.key")
    assert key is None or isinstance(key, Key)
    return key


def context_of(request: Request) -> Context:
    """The gateway that this HTTP request came to."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context
