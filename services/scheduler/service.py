"""The asynchronous shell around the core: collects events, runs the core and carries out its actions."""

import asyncio
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.services.scheduler.leader_election import has_standby, is_leader
from xylem.shared.protocol import (
    Abort,
    Adopt,
    Message,
    Presence,
    StatusQuery,
    StatusReply,
    StepReport,
    Tokenized,
    subjects,
)
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable
from xylem.shared.runtime.service import Service
from xylem.shared.runtime.settings import SchedulerSettings

log = logging.getLogger(__name__)

# Part of the bus's payload that is left to grants, drops and the envelope, which `admit_bytes` does not count.
PLAN_MARGIN_BYTES = 64 << 10
SETTLE_S = 0.3  # older schedulers of the group have answered "who is there" by then


@dataclass(frozen=True, slots=True)
class SchedulerLoad:
    """Load of the scheduler and its executors, for heartbeats."""

    executors: int = 0
    running: int = 0
    waiting: int = 0
    free_pages: int = 0
    total_pages: int = 0


def scheduler_policy(settings: SchedulerSettings, max_payload: int) -> SchedulerPolicy:
    """Builds the policy from settings. max_payload: bytes that the bus carries in a message."""
    return SchedulerPolicy(
        queue_policy=settings.queue_policy,
        max_waiting=settings.max_waiting,
        ageing_s=settings.ageing_s,
        grant_ahead_tokens=settings.grant_ahead_tokens,
        max_plan_bytes=max(max_payload - PLAN_MARGIN_BYTES, max_payload // 2),
        gateway_grace_s=settings.gateway_grace_s,
        prefix_cache=settings.prefix_cache == "on",
    )


class SchedulerService(Service[SchedulerSettings]):
    """One scheduler with the executors of its group."""

    kind: ClassVar[str] = "scheduler"
    settings_type: ClassVar[type[SchedulerSettings]] = SchedulerSettings

    def __init__(self, settings: SchedulerSettings) -> None:
        super().__init__(settings)
        self.load = SchedulerLoad()
        # Emptied by every step, so that it holds no more than arrives between two of them.
        self._inbox: list[e.Event] = []
        self._settled = False
        self._leading = False
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._stepped: list[asyncio.Future[None]] = []
        self._gateways: dict[str, int] = {}  # last known epoch of each
        self._spans: dict[tuple[str, int], telemetry.Span] = {}

    async def start(self) -> None:
        self.core = SchedulerCore(
            self.id,
            scheduler_policy(self.settings, self.bus.max_payload),
            plan_epoch=random.randrange(1, 1 << 30),
        )
        self.spawn(self._run(), name="core")
        await self.bus.listen(subjects.steps(self.model, "*"), StepReport, self._on_report)
        await self.bus.listen(subjects.abort(self.model, self.id), Abort, self._on_abort)
        await self.bus.listen(subjects.abort_any(self.model), Abort, self._on_abort)
        await self.bus.answer(subjects.submit(self.model, self.id), Tokenized, self._on_submit)
        await self.bus.answer(subjects.inquire(self.model, self.id), StatusQuery, self._on_status_query)
        await self.bus.listen(subjects.adopt(self.model, self.id), Adopt, self._on_adopt)
        await self.bus.barrier()  # reports are heard before a plan asks for one
        await asyncio.sleep(SETTLE_S)
        self._settled = True
        self.directory.on_change(self._on_change)
        self.directory.on_beat(self._on_beat)
        self._elect_leader()

    def renew_epoch(self) -> None:
        """Gives the executors up to another scheduler of the group, if there is one; everything that ran is lost."""
        super().renew_epoch()
        self._add_event(e.ExecutorLost())
        self._elect_leader()

    async def drain(self) -> None:
        """With a standby, hands over now; gateways resubmit. Otherwise finishes running sequences."""
        self._add_event(e.Drain())
        if has_standby(self.directory, self.id, self.settings.group):
            self._leading = False
            self._add_event(e.StandDown(f"scheduler {self.id} hands over to another one"))
        await self._idle.wait()

    def presence(self) -> Presence:
        """Reports ready only with an executor to run something, and standby when another scheduler has them."""
        load = self.load
        state = self.state
        if state == "ready" and not load.executors:
            state = "starting" if self._leading else "standby"
        return msgspec.structs.replace(
            super().presence(),
            state=state,
            group=self.settings.group,
            running=load.running,
            waiting=load.waiting,
            free_pages=load.free_pages,
            total_pages=load.total_pages,
        )

    async def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answers `check` (verifies the integrity of the state and counts) and `flush` (evicts unused prefixes)."""
        if command == "flush":
            await self._step_through(e.Flush())
        elif command != "check":
            return await super().control(command, arguments)
        return {"waiting": self.load.waiting, "executors": check_integrity(self.core)}

    # Callbacks of the bus and the directory: they only turn messages into events.

    def _add_event(self, event: e.Event) -> None:
        self._inbox.append(event)
        self._idle.clear()
        self._arrived.set()

    async def _step_through(self, event: e.Event) -> None:
        """Adds `event` and returns after the step that has applied it."""
        self._add_event(event)
        done = asyncio.get_running_loop().create_future()
        self._stepped.append(done)
        await done

    async def _on_submit(self, request: Tokenized) -> None:
        key = (request.request_id, request.attempt)
        span = self._spans.get(key)
        if span is None:
            span = telemetry.span("queue", request.trace)
            if span.trace:
                self._spans[key] = span
        if request.params.deadline_s:
            wait_s = request.params.deadline_s - time.time()
            self._add_event(e.Submit(request, asyncio.get_running_loop().time() + wait_s, trace=span.trace))
        else:
            self._add_event(e.Submit(request, trace=span.trace))

    async def _on_abort(self, abort: Abort) -> None:
        self._add_event(e.AbortRequest(abort.request_id, abort.attempt))

    async def _on_report(self, report: StepReport) -> None:
        self._add_event(e.Report(report))

    async def _on_adopt(self, adopt: Adopt) -> None:
        self._add_event(e.AdoptRequest(adopt.request_id, adopt.attempt, adopt.gateway))

    async def _on_status_query(self, query: StatusQuery) -> StatusReply:
        found = [self.core.state_of(*each) for each in zip(query.request_ids, unpack(query.attempts), strict=True)]
        return StatusReply(states=pack(state for state, _ in found), lengths=pack(length for _, length in found))

    def _on_change(self, presence: Presence, alive: bool) -> None:
        match presence.kind:
            case "executor":
                if self._leading:
                    self._update_executor(presence, alive=alive)
            case "gateway":
                # Also with a new epoch: the gateway has forgotten the requests of the last one.
                if not alive or self._gateways.get(presence.id, presence.epoch) != presence.epoch:
                    self._add_event(e.GatewayLeft(presence.id))
                self._gateways[presence.id] = presence.epoch
            case "scheduler":
                self._elect_leader()

    def _on_beat(self, presence: Presence) -> None:
        if presence.kind == "executor" and self._leading:
            self._add_event(
                e.ExecutorHeartbeat(presence.id, presence.epoch, presence.plan_epoch, presence.plan, presence.step)
            )

    def _update_executor(self, presence: Presence, *, alive: bool) -> None:
        capacity = presence.capacity
        if not alive or presence.state not in ("ready", "draining"):
            self._add_event(e.ExecutorLeft(presence.id))
        elif capacity is not None and capacity.group == self.settings.group:
            self._add_event(
                e.ExecutorJoined(presence.id, presence.epoch, capacity, accepting=presence.state == "ready")
            )

    def _elect_leader(self) -> None:
        if not self._settled or self.state == "draining":
            return
        leading = is_leader(self.directory, self.id, self.epoch, self.settings.group)
        if leading == self._leading:
            return
        self._leading = leading
        if leading:
            log.info("has the executors of group %s", self.settings.group)
            for presence in self.directory.known("executor"):
                self._update_executor(presence, alive=True)
        else:
            log.info("stands by for group %s", self.settings.group)
            self._add_event(e.StandDown(f"scheduler {self.id} gave way to an older one"))
        self.spawn(self.announce(), name="announce")

    # The one task that runs the core.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wake_s = self.core.next_wake_s()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(wake_s if wake_s < loop.time() + 1e6 else None):
                    await self._arrived.wait()
            self._arrived.clear()
            events, self._inbox = self._inbox, []
            stepped, self._stepped = self._stepped, []
            actions = self.core.step(events, loop.time())
            self._update_load()
            for action in actions:
                await self._carry_out(action)
            if self.core.idle and not self._inbox:
                self._idle.set()
            for done in stepped:
                if not done.cancelled():
                    done.set_result(None)

    async def _carry_out(self, action: e.Action) -> None:
        match action:
            case e.SendPlan(executor, plan):
                await self._publish(subjects.plan(self.model, executor), plan, executor)
            case e.Start(gateway, started):
                span = self._spans.pop((started.request_id, started.attempt), None)
                if span is not None:
                    span.set(
                        executor=started.executor,
                        prompt_tokens=action.num_prompt_tokens,
                        cached_tokens=action.num_cached_tokens,
                    )
                    span.end()
                await self._publish(subjects.gateway(gateway, self.kind), started)
            case e.Accept(gateway, accepted):
                await self._publish(subjects.gateway(gateway, self.kind), accepted)
            case e.Refuse(gateway, refused):
                self._end_span(refused.request_id, refused.attempt, refused.message)
                await self._publish(subjects.gateway(gateway, self.kind), refused)
            case e.RequestForgotten():
                self._end_span(action.request_id, action.attempt, "aborted")
            case e.AbortOrphan():
                self._end_span(action.request_id, action.attempt, "its gateway is gone")
                abort = Abort(request_id=action.request_id, attempt=action.attempt, reason="gateway")
                await self._publish(subjects.abort(self.model, self.id), abort)  # for detokenizers
            case e.PublishCacheEvents(cache_events):
                await self._publish(subjects.cache(self.model, self.id), cache_events)

    async def _publish(self, subject: str, message: Message, executor: str = "") -> None:
        try:
            await self.bus.publish(subject, message)
        except Unavailable as error:
            # The bus is down: everything in flight is lost, and the new epoch will say so when it is back.
            self.bus.log_undelivered(log, f"{type(message).__name__} to %s", subject, error)
        except PayloadTooLarge as error:
            log.error("%s to %s can't be sent: %s", type(message).__name__, subject, error.message)
            if executor:
                self._add_event(e.ExecutorLost(executor))

    def _end_span(self, request_id: str, attempt: int, message: str) -> None:
        span = self._spans.pop((request_id, attempt), None)
        if span is not None:
            span.error(message)
            span.end()

    def _update_load(self) -> None:
        """Updates the load for heartbeats. A change of executors may change the state and is announced at once."""
        executor_states = list(self.core.executors.values())
        before, self.load = (
            self.load,
            SchedulerLoad(
                executors=sum(each.accepting for each in executor_states),
                running=sum(len(each.running) for each in executor_states),
                waiting=len(self.core.queue),
                free_pages=sum(each.num_available for each in executor_states),
                total_pages=sum(each.page_allocator.num_pages for each in executor_states),
            ),
        )
        if before.executors != self.load.executors:
            log.info("%d executors", self.load.executors)
            self.spawn(self.announce(), name="announce")
