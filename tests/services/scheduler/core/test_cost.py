"""What a step costs does not depend on how much is cached, or how many sequences run: calls are counted, not time."""

import random
import sys
from collections.abc import Callable
from types import FrameType

from benchmarks.simulated_executor import SimulatedExecutor, StepCost
from tests.services.scheduler.simulation import limited
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Capacity, Tokenized
from xylem.shared.protocol.columns import pack

PAGE_SIZE = 4


def num_calls(act: Callable[[], object]) -> int:
    """Calls of functions, Python's own included."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


class Filled:
    """A core that has `num_cached` prefixes in its tree and runs `num_running` sequences."""

    def __init__(self, num_cached: int, num_running: int) -> None:
        self.random = random.Random(num_cached + num_running)
        self.core = SchedulerCore("s", SchedulerPolicy(max_plan_bytes=1 << 30), plan_epoch=1)
        capacity = Capacity(40 * (num_cached + num_running + 10), PAGE_SIZE, num_cached + num_running + 10, 1 << 20)
        self.num_output = 1
        self.executor = SimulatedExecutor("x", capacity, StepCost(), lambda _: pack([7] * self.num_output))
        self.feed(e.ExecutorJoined("x", 1, capacity))
        for number in range(num_cached):
            self.feed(self.submit(f"cached-{number}"))
        self.turn()
        self.num_output = 60
        for number in range(num_running):
            self.feed(self.submit(f"running-{number}"))
        self.turn()
        assert len(self.core.executors["x"].running) == num_running
        assert self.core.executors["x"].radix_tree.num_pages == 3 * (num_cached + num_running)

    def submit(self, name: str) -> e.Submit:
        """Three pages that nobody has."""
        prompt = pack(self.random.choices(range(1 << 30), k=3 * PAGE_SIZE))
        return e.Submit(Tokenized(name, 0, "g", "d", prompt, params=limited(60)))

    def feed(self, event: e.Event) -> None:
        actions = self.core.step([event], 0.0)
        self.executor.plans += [action.plan for action in actions if isinstance(action, e.SendPlan)]

    def turn(self) -> None:
        done = self.executor.step()
        assert done is not None
        self.feed(e.Report(done[1]))

    def admission(self) -> int:
        """Calls for a request that comes in at once."""
        submit = self.submit("new")
        calls = num_calls(lambda: self.feed(submit))
        assert self.core.request_table.requests["new"].sequence is not None
        return calls


def test_an_admission_costs_the_same_however_much_is_cached() -> None:
    few, many = Filled(10, 10), Filled(1000, 10)
    assert abs(few.admission() - many.admission()) <= 2


def test_an_admission_costs_the_same_however_many_run() -> None:
    few, many = Filled(10, 10), Filled(10, 1000)
    assert abs(few.admission() - many.admission()) <= 2
