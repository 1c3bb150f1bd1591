"""The scheduler's decisions: events in, actions out. The core has no clock, socket or task: time is an argument."""

import itertools
from collections import Counter
from collections.abc import Sequence as Many

from xylem.services.scheduler.core import events as e
from xylem.services.scheduler.core.admission import AdmissionRound
from xylem.services.scheduler.core.executor_state import ExecutorState, LostReport
from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.queue_policy import QUEUE_POLICIES
from xylem.services.scheduler.core.request import Request
from xylem.services.scheduler.core.request_table import RequestTable
from xylem.services.scheduler.core.waiting_queue import WaitingQueue
from xylem.shared.protocol import Capacity, RequestStatus, Started
from xylem.shared.runtime.errors import Unavailable

MAX_SEQUENCE_ID = (1 << 31) - 1


class SchedulerCore:
    """The waiting queue, the request table and the executor states of one scheduler."""

    def __init__(self, scheduler: str, policy: SchedulerPolicy | None = None, *, plan_epoch: int) -> None:
        """scheduler: id of this one; plan_epoch: number of the first plan epoch, the next ones count up from it."""
        self.policy = policy = policy or SchedulerPolicy()
        self.executors: dict[str, ExecutorState] = {}
        self.queue = WaitingQueue(policy)
        self.request_table = RequestTable(scheduler, self.executors, self.queue, policy)
        self._scheduler = scheduler
        self._order = QUEUE_POLICIES[policy.queue_policy]
        self._plan_epochs = itertools.count(plan_epoch)
        self._last_sequence_id = 0
        self._executors_changed = False
        self._left_s: dict[str, float] = {}  # when executors left that have not come back

    def step(self, events: Many[e.Event], now: float) -> list[e.Action]:
        """Applies the events and returns the actions that follow from them. now: seconds; it never goes back."""
        actions = self.request_table.actions = []
        for event in events:
            self._apply_event(event, now)
        if self._executors_changed:
            self._executors_changed = False
            self.request_table.refuse_unservable()
        self.request_table.update_queue(now)
        for executor_state in self.executors.values():
            executor_state.grant_pages(now)
        self._admit_waiting(now)
        for executor_state in self.executors.values():
            plan = executor_state.plan_builder.take_plan()
            if plan is not None:
                actions.append(e.SendPlan(executor_state.executor_id, plan))
            actions += map(e.PublishCacheEvents, executor_state.cache_event_log.take_events())
        return actions

    def next_wake_s(self) -> float:
        """Returns when `step` has something to do even without an event: at the next deadline, or infinity.

        A request that waits for memory or a prefix moves on with the next report.
        """
        return self.request_table.next_due_s()

    def state_of(self, request_id: str, attempt: int) -> tuple[RequestStatus, int]:
        """Returns the status of an attempt, and how many of its tokens have their KV."""
        request = self.request_table.requests.get(request_id)
        if request is None or request.message.attempt != attempt:
            return RequestStatus.UNKNOWN, 0
        sequence = request.sequence
        return (RequestStatus.WAITING, 0) if sequence is None else (RequestStatus.RUNNING, sequence.length)

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        return not self.request_table.requests

    def _apply_event(self, event: e.Event, now: float) -> None:
        match event:
            case e.Report():
                self._apply_report(event, now)
            case e.Submit():
                self.request_table.submit_request(event, now)
            case e.AbortRequest():
                self.request_table.abort_request(event, now)
            case e.ExecutorJoined():
                self._add_executor(event)
            case e.ExecutorLeft():
                self._left_s[event.executor] = now
                self._remove_executor(event.executor, f"executor {event.executor} is gone")
            case e.ExecutorLost():
                for executor in list(self.executors):
                    if event.executor in (None, executor):
                        self._restart_executor(executor, "messages were lost")
            case e.ExecutorHeartbeat():
                self._check_heartbeat(event, now)
            case e.GatewayLeft():
                self.request_table.orphan_requests(event.gateway, now)
            case e.AdoptRequest():
                self.request_table.adopt_request(event)
            case e.StandDown():
                for executor in list(self.executors):
                    self._remove_executor(executor, event.reason)
                self.request_table.refuse_waiting(Unavailable(event.reason))
            case e.Flush():
                for executor_state in self.executors.values():
                    executor_state.evict_pages(executor_state.page_allocator.num_pages)
            case e.Drain():
                self.request_table.draining = True

    def _apply_report(self, event: e.Report, now: float) -> None:
        report = event.report
        executor_state = self.executors.get(report.executor)
        if executor_state is None or report.epoch != executor_state.executor_epoch:
            return
        try:
            ended, retracted = executor_state.apply_report(report, now)
        except (LostReport, ValueError) as error:  # ValueError: columns that don't fit each other
            self._restart_executor(report.executor, str(error))
            return
        for sequence in ended:
            self.request_table.end_sequence(sequence, now)
        for sequence in retracted:
            self.request_table.requeue_retracted(sequence)

    def _check_heartbeat(self, heartbeat: e.ExecutorHeartbeat, now: float) -> None:
        executor_state = self.executors.get(heartbeat.executor)
        if executor_state is not None and executor_state.executor_epoch == heartbeat.epoch:
            lost = executor_state.find_loss(heartbeat, now)
            if lost:
                self._restart_executor(heartbeat.executor, f"{lost} was lost")

    def _admit_waiting(self, now: float) -> None:
        """Tries aged requests in the order of their arrival, then the others as the queue policy orders them."""
        if not len(self.queue):
            return
        self._admit_suspect(now)
        admission = AdmissionRound(list(self.executors.values()), self.policy, now)
        for request in self.queue.aged_requests(now, self._running_by_tenant) if admission.candidates else ():
            if not self._try_admit(request, admission) and request.prefix_source is None:
                admission.reserve_for(request)
            if not admission.candidates:
                return
        young = self.queue.young_requests(now) if admission.candidates else []
        for request in self._order(young, admission.num_cached):
            if not admission.candidates:
                return
            self._try_admit(request, admission)

    def _admit_suspect(self, now: float) -> None:
        """Tries the next request on probation: one at a time, and where it disturbs none but its like.

        So an executor that dies tells which request did it, and the others of its machine go on.
        """
        request = self.queue.next_suspect()
        executor_states = list(self.executors.values())
        if request is None or any(each.on_probation is not None for each in executor_states):
            return
        patience_s = self.policy.probation_patience_s
        self._left_s = {name: left_s for name, left_s in self._left_s.items() if now - left_s < patience_s}
        if now - request.queued_s >= patience_s:
            chosen = min(executor_states, key=lambda each: len(each.running), default=None)
        elif self._left_s:
            chosen = None  # one that is gone may come back: those that are left are not put at risk
        else:
            quiet = [each for each in executor_states if each.runs_only_suspects()]
            # The youngest is the one that died, if any did: another one need not.
            chosen = max(quiet, key=lambda each: each.executor_epoch, default=None)
        if chosen is not None:
            self._try_admit(request, AdmissionRound([chosen], self.policy, now))

    def _running_by_tenant(self) -> Counter[str]:
        return sum((executor_state.running_by_tenant for executor_state in self.executors.values()), Counter())

    def _try_admit(self, request: Request, admission: AdmissionRound) -> bool:
        sequence = admission.try_admit(request, self._last_sequence_id + 1)
        if sequence is None:
            return False
        self._last_sequence_id = sequence.id % MAX_SEQUENCE_ID
        self.queue.remove_request(request)
        executor_epoch = self.executors[sequence.executor].executor_epoch
        started = Started(request.id, request.message.attempt, self._scheduler, sequence.executor, executor_epoch)
        start = e.Start(request.message.gateway, started, request.num_prompt, request.num_cached)
        self.request_table.actions.append(start)
        return True

    def _add_executor(self, event: e.ExecutorJoined) -> None:
        self._left_s.pop(event.executor, None)
        known = self.executors.get(event.executor)
        if known is None or known.executor_epoch != event.epoch:
            self._remove_executor(event.executor, f"executor {event.executor} began anew")
            self._begin_plan_epoch(event.executor, event.epoch, event.capacity)
        self.executors[event.executor].accepting = event.accepting
        self._executors_changed = True

    def _restart_executor(self, executor: str, reason: str) -> None:
        """Begins a new plan epoch with the same executor: its first plan makes the executor drop all sequences."""
        known = self.executors[executor]
        self._remove_executor(executor, f"executor {executor} had to begin anew: {reason}")
        self._begin_plan_epoch(executor, known.executor_epoch, known.capacity)
        self.executors[executor].accepting = known.accepting

    def _begin_plan_epoch(self, executor: str, epoch: int, capacity: Capacity) -> None:
        plan_epoch = next(self._plan_epochs)
        self.executors[executor] = ExecutorState(self._scheduler, executor, epoch, capacity, plan_epoch, self.policy)

    def _remove_executor(self, executor: str, reason: str) -> None:
        self._executors_changed = True
        executor_state = self.executors.pop(executor, None)
        for sequence in executor_state.end_plan_epoch() if executor_state is not None else ():
            self.request_table.lose_sequence(sequence, reason)
