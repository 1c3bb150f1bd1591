"""Asks schedulers about attempts without news, so that a lost refusal, start or end is noticed."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from xylem.services.gateway.generation.request_state import RequestState
from xylem.services.gateway.policy import StallPolicy
from xylem.shared.protocol import RequestStatus, StatusQuery, StatusReply, subjects
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import XylemError

log = logging.getLogger(__name__)


class StallProbe:
    """Probes the states that `request_states` returns: those that run now."""

    def __init__(
        self, policy: StallPolicy, bus: Bus, model: str, request_states: Callable[[], Iterable[RequestState]]
    ) -> None:
        self._policy = policy
        self._bus = bus
        self._model = model
        self._request_states = request_states

    async def probe_states(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._policy.interval_s)
            quiet: dict[str, list[RequestState]] = {}
            for request_state in self._request_states():
                if request_state.scheduler and request_state.quiet_s > self._policy.quiet_s:
                    quiet.setdefault(request_state.scheduler, []).append(request_state)
                elif request_state.quiet_s > self._policy.under_way_s and not request_state.scheduler:
                    request_state.on_lost("no scheduler has accepted it")
            await asyncio.gather(*(self._ask(scheduler, request_states) for scheduler, request_states in quiet.items()))

    async def _ask(self, scheduler: str, request_states: list[RequestState]) -> None:
        subject = subjects.inquire(self._model, scheduler)
        size = self._policy.max_attempts_per_query
        for start in range(0, len(request_states), size):
            part = [(request_state, request_state.attempt) for request_state in request_states[start : start + size]]
            question = StatusQuery(
                request_ids=tuple(each.id for each, _ in part),
                attempts=pack(attempt for _, attempt in part),
            )
            try:
                standing = await self._bus.request(
                    subject, question, StatusReply, timeout_s=self._policy.status_timeout_s
                )
                answers = zip(part, map(RequestStatus, unpack(standing.states)), unpack(standing.lengths), strict=True)
                for (request_state, attempt), state, length in answers:
                    request_state.on_standing(attempt, scheduler, state, length)
            except XylemError:
                return  # it is its heartbeats that tell whether it is there
            except ValueError as error:
                log.error("scheduler %s gave an answer that makes no sense: %s", scheduler, error)
