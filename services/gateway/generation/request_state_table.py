"""Table of running requests: dispatches bus messages to them, publishes their hand-overs and aborts."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from xylem.services.gateway.generation.output_queue import OutputQueue
from xylem.services.gateway.generation.pipeline_health import PipelineHealth
from xylem.services.gateway.generation.request_state import RequestState
from xylem.services.gateway.generation.resumption import Found, find
from xylem.services.gateway.generation.stall_probe import StallProbe
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.generation.text_rows import TextRow, rows_of
from xylem.services.gateway.policy import GatewayPolicy
from xylem.shared.protocol import (
    Abort,
    Accepted,
    Adopt,
    Embedded,
    Generate,
    Message,
    Presence,
    Refused,
    Started,
    TextDeltas,
    subjects,
)
from xylem.shared.protocol.senders import SAID_TO_GATEWAYS
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import ModelFailure, Unavailable, XylemError
from xylem.shared.runtime.presence import Directory
from xylem.shared.runtime.settings import GatewaySettings

log = logging.getLogger(__name__)

Spawn = Callable[..., "asyncio.Task[None]"]


class RequestStateTable:
    """Holds the states of running requests by request id. Implements `request_state.Pipeline`."""

    def __init__(
        self, settings: GatewaySettings, policy: GatewayPolicy, bus: Bus, directory: Directory, spawn: Spawn
    ) -> None:
        self.policy = policy.attempts
        self.suspicion_policy = policy.suspicion
        self.request_timeout_s = settings.request_timeout_s
        self.stall_timeout_s = settings.stall_timeout_s
        self.num_resubmitted = 0
        self.num_model_failures = 0
        self._id = settings.instance
        self._model = settings.model_slug
        self._bus = bus
        self._directory = directory
        self._spawn = spawn
        self.pipeline_health = PipelineHealth(bus, directory, settings.repair_s)
        self._request_states: dict[str, RequestState] = {}
        self._stall_probe = StallProbe(policy.stalls, bus, self._model, self._request_states.values)
        self._open_of: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._early: dict[str, list[TextRow]] = {}  # what came for requests that are being resumed
        self._strays: dict[str, None] = {}  # requests that are not ours any more and have been aborted, oldest first
        self._empty = asyncio.Event()
        self._empty.set()

    async def start_listening(self) -> None:
        """Subscribes to messages for this gateway and starts the stall probe."""
        self._directory.on_change(self._on_presence)
        self._bus.on_epoch(self._on_bus_epoch)
        for kind, messages in SAID_TO_GATEWAYS.items():
            await self._bus.listen(subjects.gateway(self._id, kind), messages, self._on_message)
        self._spawn(self._stall_probe.probe_states(), name="stall probe")

    def __len__(self) -> int:
        return len(self._request_states)

    @property
    def num_counted(self) -> int:
        """Returns the number of running states that count against limits: health checks do not."""
        return self._open_of.total()

    def num_open_of(self, tenant: str) -> int:
        """Returns the number of running states of one tenant."""
        return self._open_of[tenant]

    def begin_state(
        self,
        generate: Generate,
        index: int,
        output_queue: OutputQueue,
        found: Found | None = None,
        *,
        is_counted: bool = True,
    ) -> RequestState:
        """Starts a new state; with `found` it continues where another gateway's ended.

        is_counted: whether it counts against the limits of open requests.
        """
        state = RequestState(self, generate, index, output_queue)
        self._request_states[state.id] = state
        self._open_of[state.tenant] += int(is_counted)
        state.is_counted = is_counted
        if found is not None:
            state.resume(found.resumed, found.detokenizer, found.epoch)
            for row in self._early.pop(state.id, ()):
                state.on_row(row)
        self._tasks[state.id] = self._spawn(state.run_attempts(), name=f"request {state.id}")
        self._empty.clear()
        return state

    async def find_stream(self, cursor: StreamCursor, *, from_start: bool) -> list[Found]:
        """Asks detokenizers for the rest of a stream that broke off, or with `from_start` for all of its text.

        Returns one entry per choice, or none unless all are found: then `cursor` names a new generation.
        """
        wanted = {
            f"{cursor.request_id}-{i}": 0 if from_start else choice_cursor.num_chars
            for i, choice_cursor in enumerate(cursor.choice_cursors)
        }
        for request_id in wanted:
            old = self._request_states.get(request_id)
            if old is not None:  # its client has left, which we have not heard yet
                old.release_ownership()
                self.forget_state(old)
            self._early[request_id] = []
        peers = self.pipeline_health.known("detokenizer")
        found = await asyncio.gather(
            *(
                find(self._bus, self._model, self._id, peers, *each, timeout_s=self.policy.resume_timeout_s)
                for each in wanted.items()
            )
        )
        whole = [each for each in found if each is not None]
        if len(whole) == len(wanted):
            return whole
        for request_id in wanted:
            self._early.pop(request_id, None)
        cursor.begin_anew()
        return []

    def forget_state(self, state: RequestState) -> None:
        """Closes a state, wherever it stands, and aborts the attempt that it holds."""
        if self._request_states.get(state.id) is state:
            task = self._tasks[state.id]
            state.abandon()
            self.remove_state(state)
            task.cancel()

    def fail_all(self, error: XylemError) -> None:
        """Closes all states with an error for their clients."""
        for state in list(self._request_states.values()):
            state.pass_error(error)
            self.forget_state(state)

    async def idle(self) -> None:
        """Returns when no state is left."""
        await self._empty.wait()

    # request_state.Pipeline

    @property
    def loss_level(self) -> int:
        return logging.WARNING if self._bus.connected else logging.DEBUG

    async def ready(self) -> None:
        await self.pipeline_health.ready()

    def pick_detokenizer(self) -> tuple[str, int]:
        return self.pipeline_health.pick_detokenizer()

    def epoch_of(self, kind: str, instance: str) -> int | None:
        return self.pipeline_health.epoch_of(kind, instance)

    def has_crashed(self, kind: str, instance: str, epoch: int) -> bool:
        return self.pipeline_health.has_crashed(kind, instance, epoch)

    async def hand_over(self, generate: Generate) -> None:
        if generate.attempt:
            self.num_resubmitted += 1
        await self._bus.hand_over(subjects.tokenize(self._model), generate, timeout_s=self.policy.hand_over_timeout_s)

    def adopt(self, request_id: str, attempt: int, scheduler: str) -> None:
        adopt = Adopt(request_id=request_id, attempt=attempt, gateway=self._id)
        self._spawn(self._publish(subjects.adopt(self._model, scheduler), adopt), name=f"adopt {request_id}")

    def abort_attempt(self, request_id: str, attempt: int, scheduler: str) -> None:
        subject = subjects.abort(self._model, scheduler) if scheduler else subjects.abort_any(self._model)
        self._spawn(self._publish(subject, Abort(request_id=request_id, attempt=attempt)), name=f"abort {request_id}")

    def remove_state(self, state: RequestState) -> None:
        if self._request_states.get(state.id) is state:
            del self._request_states[state.id], self._tasks[state.id]
            if state.is_counted:
                self._open_of -= Counter([state.tenant])
            self._remember(state.id)
        if not self._request_states:
            self._empty.set()

    # What is heard.

    async def _on_message(self, message: TextDeltas | Accepted | Started | Refused | Embedded) -> None:
        if isinstance(message, TextDeltas):
            self._on_text(message)
        elif isinstance(message, Embedded):
            embedded = self._request_states.get(message.request_id)
            if embedded is not None:
                embedded.on_embedded(message)
        elif isinstance(message, Refused):
            state = self._request_states.get(message.request_id)
            self.num_model_failures += message.code == ModelFailure.code
            if state is not None:
                state.on_refused(message)
        elif not self._on_taken(message):
            # The client left while the request was between two stages, where no abort could find it.
            self.abort_attempt(message.request_id, message.attempt, message.scheduler)

    def _on_taken(self, message: Accepted | Started) -> bool:
        """Notes that a scheduler or an executor has an attempt; False when the attempt is not wanted any more."""
        state = self._request_states.get(message.request_id)
        if state is None:
            return False
        if isinstance(message, Started):
            return state.on_started(message.attempt, message.scheduler, message.executor, message.executor_epoch)
        return state.on_accepted(message.attempt, message.scheduler)

    def _on_text(self, deltas: TextDeltas) -> None:
        for request_id, row in rows_of(deltas):
            state = self._request_states.get(request_id)
            if state is not None:
                state.on_row(row)
            elif request_id in self._early:
                self._early[request_id].append(row)
            elif not row.finish and request_id not in self._strays:
                # Left over from an earlier process of this gateway, or from a client long gone.
                self._remember(request_id)
                self.abort_attempt(request_id, row.attempt, "")

    def _on_presence(self, presence: Presence, alive: bool) -> None:
        if presence.crashed and not alive:
            self.pipeline_health.note_crash(presence)
        for state in list(self._request_states.values()):
            state.on_peer(presence.kind, presence.id, presence.epoch if alive else None)
        self.pipeline_health.changed()

    def lose_all(self, why: str) -> None:
        """Marks every running attempt as lost, for the given reason, which is logged once for all of them."""
        if self._request_states:
            log.warning("%d requests begin their next attempt: %s", len(self._request_states), why)
        for state in list(self._request_states.values()):
            state.on_lost(why, logging.DEBUG)
        self.pipeline_health.changed()

    def _on_bus_epoch(self) -> None:
        self.lose_all("messages may have been lost on the bus")

    def _remember(self, request_id: str) -> None:
        self._strays[request_id] = None
        if len(self._strays) > self.policy.max_strays:
            del self._strays[next(iter(self._strays))]

    async def _publish(self, subject: str, message: Message) -> None:
        with suppress(Unavailable):  # an outage: whoever held the request forgets it by itself
            await self._bus.publish(subject, message)
