"""The scheduler's decisions: events in, actions out. Nothing here knows a clock, a socket or a task."""

import itertools
from collections import Counter
from collections.abc import Sequence as Many

from xylem.services.scheduler.core import events as e
from xylem.services.scheduler.core.admission import Round
from xylem.services.scheduler.core.executor_state import ExecutorState, LostReport
from xylem.services.scheduler.core.queue_policy import POLICIES
from xylem.services.scheduler.core.request import Request
from xylem.services.scheduler.core.request_table import RequestTable
from xylem.services.scheduler.core.waiting_queue import WaitingQueue
from xylem.shared.protocol import Capacity, RequestStatus, Started
from xylem.shared.runtime.errors import Unavailable

MAX_SEQUENCE_ID = (1 << 31) - 1


class SchedulerCore:
    """The queue and the books of one scheduler."""

    def __init__(
        self,
        scheduler: str,
        *,
        plan_epoch: int,
        policy: str = "prefix",
        max_waiting: int = 2048,
        ageing_s: float = 30.0,
        grant_ahead_tokens: int = 64,
        gateway_grace_s: float = 10.0,
        prefix_cache: bool = True,
        max_plan_bytes: int = 1 << 20,
    ) -> None:
        self.executors: dict[str, ExecutorState] = {}
        self.queue = WaitingQueue(ageing_s)
        self.intake = RequestTable(
            scheduler,
            self.executors,
            self.queue,
            max_waiting=max_waiting,
            max_plan_bytes=max_plan_bytes,
            gateway_grace_s=gateway_grace_s,
        )
        self._scheduler = scheduler
        self._policy = POLICIES[policy]
        self._ahead_tokens = grant_ahead_tokens
        self._prefix_cache = prefix_cache
        self._max_plan_bytes = max_plan_bytes
        self._plan_epochs = itertools.count(plan_epoch)
        self._last_id = 0
        self._executors_changed = False

    def step(self, events: Many[e.Event], now: float) -> list[e.Action]:
        """Takes what has happened and says what is to be done. `now` never goes back."""
        actions = self.intake.actions = []
        for event in events:
            self._take(event, now)
        if self._executors_changed:
            self._executors_changed = False
            self.intake.sort_again()
        self.intake.sort(now)
        for books in self.executors.values():
            books.grow(now)
        self._admit(now)
        for books in self.executors.values():
            plan = books.draft.take()
            if plan is not None:
                actions.append(e.SendPlan(books.executor, plan))
            actions += map(e.TellCache, books.news.take())
        return actions

    def next_wake_s(self) -> float:
        """When `step` has something to do even if nothing happens until then; infinity for never.

        Only deadlines are such things. What is held up otherwise moves on with the next report.
        """
        return self.intake.next_due_s()

    def state_of(self, request_id: str, attempt: int) -> tuple[RequestStatus, int]:
        """Where an attempt stands, and how many of its tokens have their KV."""
        request = self.intake.requests.get(request_id)
        if request is None or request.message.attempt != attempt:
            return RequestStatus.UNKNOWN, 0
        sequence = request.sequence
        return (RequestStatus.WAITING, 0) if sequence is None else (RequestStatus.RUNNING, sequence.length)

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        return not self.intake.requests

    def _take(self, event: e.Event, now: float) -> None:
        match event:
            case e.Report():
                self._read(event, now)
            case e.Submit():
                self.intake.submit(event, now)
            case e.AbortRequest():
                self.intake.abort(event, now)
            case e.ExecutorJoined():
                self._join(event)
            case e.ExecutorLeft():
                self._close(event.executor, f"executor {event.executor} is gone")
            case e.ExecutorLost():
                for executor in list(self.executors):
                    if event.executor in (None, executor):
                        self._restart(executor, "messages were lost")
            case e.Heard():
                self._compare(event, now)
            case e.GatewayLeft():
                self.intake.gateway_left(event.gateway, now)
            case e.AdoptRequest():
                self.intake.adopt(event)
            case e.StandDown():
                for executor in list(self.executors):
                    self._close(executor, event.reason)
                self.intake.refuse_all(Unavailable(event.reason))
            case e.Flush():
                for books in self.executors.values():
                    books.evict(books.pages.num_pages)
            case e.Drain():
                self.intake.draining = True

    def _read(self, event: e.Report, now: float) -> None:
        report = event.report
        books = self.executors.get(report.executor)
        if books is None or report.epoch != books.executor_epoch:
            return
        try:
            ended, confirmed = books.read(report, now)
        except (LostReport, ValueError) as error:  # ValueError: columns that don't fit each other
            self._restart(report.executor, str(error))
            return
        for sequence in ended:
            self.intake.end(sequence, now)
        for sequence in confirmed:
            self.intake.come_back(sequence)

    def _compare(self, heard: e.Heard, now: float) -> None:
        books = self.executors.get(heard.executor)
        if books is not None and books.executor_epoch == heard.epoch:
            lost = books.compare(heard, now)
            if lost:
                self._restart(heard.executor, f"{lost} was lost")

    def _admit(self, now: float) -> None:
        """Aged requests in the order of their arrival, then the others as the policy has it."""
        if not len(self.queue):
            return
        candidates = Round(list(self.executors.values()), self._max_plan_bytes, now)
        for request in self.queue.aged(now, self._running_of_tenants) if candidates.rooms else ():
            if not self._try(request, candidates) and request.waits_for is None:
                candidates.close(request)
            if not candidates.rooms:
                return
        young = self.queue.young(now) if candidates.rooms else []
        for request in self._policy(young, candidates.num_cached):
            if not candidates.rooms:
                return
            self._try(request, candidates)

    def _running_of_tenants(self) -> Counter[str]:
        return sum((books.tenants for books in self.executors.values()), Counter())

    def _try(self, request: Request, candidates: Round) -> bool:
        sequence = candidates.admit(request, self._last_id + 1)
        if sequence is None:
            return False
        self._last_id = sequence.id % MAX_SEQUENCE_ID
        self.queue.remove(request)
        executor = self.executors[sequence.executor]
        started = Started(
            request.id, request.message.attempt, self._scheduler, executor.executor, executor.executor_epoch
        )
        self.intake.actions.append(e.Start(request.message.gateway, started, request.num_prompt, request.num_cached))
        return True

    def _join(self, event: e.ExecutorJoined) -> None:
        known = self.executors.get(event.executor)
        if known is None or known.executor_epoch != event.epoch:
            self._close(event.executor, f"executor {event.executor} began anew")
            self._open(event.executor, event.epoch, event.capacity)
        self.executors[event.executor].accepting = event.accepting
        self._executors_changed = True

    def _restart(self, executor: str, reason: str) -> None:
        """A new plan epoch with the same executor: its first plan makes the executor forget what it runs."""
        known = self.executors[executor]
        self._close(executor, f"executor {executor} had to begin anew: {reason}")
        self._open(executor, known.executor_epoch, known.capacity)
        self.executors[executor].accepting = known.accepting

    def _open(self, executor: str, epoch: int, capacity: Capacity) -> None:
        self.executors[executor] = ExecutorState(
            self._scheduler,
            executor,
            epoch,
            capacity,
            next(self._plan_epochs),
            self._ahead_tokens,
            prefix_cache=self._prefix_cache,
        )

    def _close(self, executor: str, reason: str) -> None:
        self._executors_changed = True
        books = self.executors.pop(executor, None)
        for sequence in books.abandon() if books is not None else ():
            self.intake.lose(sequence, reason)
