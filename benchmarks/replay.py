"""Replays a trace against real scheduler cores and simulated executors, in simulated time."""

import heapq
import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from benchmarks.simulated_executor import SimulatedExecutor, Step, StepCost
from benchmarks.traces import Trace
from xylem.services.scheduler.core import SchedulerCore
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import (
    Capacity,
    GenerationParams,
    Plan,
    Presence,
    SamplingParams,
    StepReport,
    StopConditions,
    Tokenized,
)
from xylem.shared.protocol.columns import unpack

# From an executor to its scheduler or back. It runs on meanwhile.
MESSAGE_S = 0.001
# From an executor through detokenizer and gateway to the client; and from there to a scheduler.
CLIENT_S = 0.005
HEARTBEAT_S = 0.5
# What clients ask for; answers end before.
MAX_TOKENS = 256
PARAMS = GenerationParams(
    sampling=SamplingParams(temperature=0.0), stop_conditions=StopConditions(max_tokens=MAX_TOKENS)
)

# Which scheduler gets a request: the first of the ids returned.
Choose = Callable[[Tokenized, Sequence[Presence]], list[str]]


class Happened(Enum):
    ADMITTED = "admitted"
    RETRACTED = "retracted"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened to a call, as the schedulers' books have it; the list of them is the order that was realised."""

    call: int
    what: Happened


@dataclass(slots=True)
class Outcome:
    """A replay. Times in seconds."""

    num_prompt: int
    num_read: int = 0
    num_output: int = 0
    duration_s: float = 0.0
    first_token_s: dict[int, float] = field(default_factory=dict)  # by call, since it was sent
    moments: list[Moment] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Part of the prompt tokens that no executor read. What a retraction makes it read again counts as read."""
        return 1 - self.num_read / self.num_prompt

    @property
    def num_retracted(self) -> int:
        return sum(moment.what is Happened.RETRACTED for moment in self.moments)

    @property
    def median_first_token_s(self) -> float:
        return statistics.median(self.first_token_s.values())

    @property
    def tokens_per_s(self) -> float:
        return self.num_output / self.duration_s


class Replay:
    """One run of a trace. cores: the schedulers; executors: how many each has, all of `capacity`."""

    def __init__(
        self,
        trace: Trace,
        cores: dict[str, SchedulerCore],
        capacity: Capacity,
        *,
        executors: int = 1,
        cost: StepCost | None = None,
        choose: Choose = lambda _, schedulers: [schedulers[0].id],
    ) -> None:
        self.outcome = Outcome(num_prompt=sum(call.num_prompt for call in trace))
        self._trace = trace
        self._cores = cores
        self._choose = choose
        self._now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._sent_s: dict[int, float] = {}
        self._num_open = len(trace)
        self._missing = [len(call.after) for call in trace]
        self._followers: dict[int, list[int]] = {}
        for index, call in enumerate(trace):
            for before in call.after:
                self._followers.setdefault(before, []).append(index)
        self._executors: dict[str, SimulatedExecutor] = {}
        self._scheduler_of: dict[str, str] = {}
        self._busy: set[str] = set()
        self._calls: dict[tuple[str, int], int] = {}  # by executor and sequence
        for name in cores:
            for number in range(executors):
                executor = SimulatedExecutor(f"{name}-{number}", capacity, cost or StepCost(), self._output_of)
                self._executors[executor.name] = executor
                self._scheduler_of[executor.name] = name
                self._feed(name, e.ExecutorJoined(executor.name, executor.epoch, capacity))

    def run(self) -> Outcome:
        """Until every call has ended. Raises RuntimeError when one never does, or is refused."""
        for index, call in enumerate(self._trace):
            if not call.after:
                self._at(call.wait_s, partial(self._send, index))
        self._beat()
        while self._num_open:
            self._now, _, act = heapq.heappop(self._agenda)
            if self._now > 1e6:
                raise RuntimeError(f"{self._num_open} calls hang")
            act()
        self.outcome.duration_s = self._now
        self.outcome.num_read = sum(executor.num_read for executor in self._executors.values())
        self.outcome.num_output = sum(call.num_output for call in self._trace)
        return self.outcome

    def _at(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self._now + delay_s, next(self._order), act))

    def _output_of(self, request_id: str) -> bytes:
        return self._trace[int(request_id)].output

    def _beat(self) -> None:
        self._presences = [self._presence(name, core) for name, core in self._cores.items()]
        self._at(HEARTBEAT_S, self._beat)

    def _presence(self, name: str, core: SchedulerCore) -> Presence:
        running = sum(len(executor_state.running) for executor_state in core.executors.values())
        return Presence(kind="scheduler", id=name, epoch=1, model="m", running=running, waiting=len(core.queue))

    def _send(self, index: int) -> None:
        call = self._trace[index]
        self._sent_s[index] = self._now
        request = Tokenized(
            request_id=str(index),
            attempt=0,
            gateway="g",
            detokenizer="d",
            prompt_ids=call.prompt,
            params=PARAMS,
        )
        self._feed(self._choose(request, self._presences)[0], e.Submit(request))

    def _feed(self, scheduler: str, event: e.Event) -> None:
        for action in self._cores[scheduler].step([event], self._now):
            match action:
                case e.SendPlan(executor, plan):
                    self._note(executor, plan)
                    self._at(MESSAGE_S, partial(self._take, executor, plan))
                case e.Refuse(_, refused):
                    raise RuntimeError(f"call {refused.request_id} was refused: {refused.message}")

    def _note(self, executor: str, plan: Plan) -> None:
        for sequence_id in unpack(plan.drops):
            self.outcome.moments.append(Moment(self._calls[executor, sequence_id], Happened.RETRACTED))
        for admit in plan.admits:
            call = self._calls[executor, admit.sequence_id] = int(admit.start.request_id)
            self.outcome.moments.append(Moment(call, Happened.ADMITTED))

    def _take(self, executor: str, plan: Plan) -> None:
        self._executors[executor].plans.append(plan)
        if executor not in self._busy:
            self._run_step(executor)

    def _run_step(self, executor: str) -> None:
        done = self._executors[executor].step()
        if done is None:
            self._busy.discard(executor)
            return
        step, report, duration_s = done
        self._busy.add(executor)
        self._at(duration_s, lambda: self._finish_step(executor, step, report))

    def _finish_step(self, executor: str, step: Step, report: StepReport) -> None:
        for call in map(int, step.begun):
            self.outcome.first_token_s[call] = self._now - self._sent_s[call]
        for call in map(int, step.ended):
            self._num_open -= 1
            for follower in self._followers.get(call, ()):
                self._missing[follower] -= 1
                if not self._missing[follower]:
                    self._at(2 * CLIENT_S + self._trace[follower].wait_s, partial(self._send, follower))
        self._at(MESSAGE_S, lambda: self._read(executor, step, report))
        self._run_step(executor)

    def _read(self, executor: str, step: Step, report: StepReport) -> None:
        self.outcome.moments += [Moment(int(request_id), Happened.ENDED) for request_id in step.ended]
        self._feed(self._scheduler_of[executor], e.Report(report))
