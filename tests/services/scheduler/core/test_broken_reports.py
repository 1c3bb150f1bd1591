"""Reports that contradict themselves or the books: the executor begins anew, and nothing is lost or held for ever."""

from typing import Any

import pytest

from tests.services.scheduler.simulation import limited
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Admit, Capacity, FinishReason, Plan, StepReport, Tokenized
from xylem.shared.protocol.columns import pack

EPOCH = 7
PROMPT = [1, 2, 3, 4, 5]


class Running:
    """A core with one executor of 4-token pages that runs one sequence, and has told of its first step."""

    def __init__(self) -> None:
        self.core = SchedulerCore("s", SchedulerPolicy(grant_ahead_tokens=4), plan_epoch=3)
        capacity = Capacity(num_pages=16, page_size=4, max_running=4, token_budget=64)
        self.core.step([e.ExecutorJoined("x", EPOCH, capacity)], 0.0)
        request = Tokenized("r", 0, "gw", "d", pack(PROMPT), params=limited(9))
        self.admitted = self.plan(self.core.step([e.Submit(request)], 1.0)).admits[0].sequence_id
        self.report(length=5, counts=[1], token_ids=[9])

    @staticmethod
    def plan(actions: list[e.Action]) -> Plan:
        return next(action.plan for action in actions if isinstance(action, e.SendPlan))

    def report(
        self, *, step: int = 0, plan_epoch: int = 3, rows: int = 1, length: int, finish: int = 0, **columns: Any
    ) -> list[e.Action]:
        packed: dict[str, Any] = {name: pack(column) for name, column in columns.items()}
        report = StepReport(
            executor="x",
            epoch=EPOCH,
            plan_epoch=plan_epoch,
            plan=1,
            step=step,
            sequence_ids=pack([self.admitted] * rows),
            lengths=pack([length] * rows),
            finishes=pack([finish] * rows),
            **packed,
        )
        return self.core.step([e.Report(report)], 2.0)


@pytest.mark.parametrize(
    "report",
    [
        {"step": 1, "rows": 2, "length": 6, "counts": [1, 1], "token_ids": [8, 8], "finish": FinishReason.STOP},
        {"step": 1, "length": 6, "counts": [2], "token_ids": [8]},
        {"step": 1, "length": 6, "counts": [-1], "token_ids": [8]},
        {"step": 1, "length": 60, "counts": [60], "token_ids": [8] * 60},
        {"step": 1, "length": -1, "counts": [1], "token_ids": [8]},
        {"step": 1, "length": 6, "counts": [1, 1], "token_ids": [8]},
        {"step": 99, "length": 6, "counts": [1], "token_ids": [8]},
    ],
    ids=["ends twice", "too few tokens", "minus one token", "no pages", "no length", "uneven columns", "a gap"],
)
def test_the_executor_begins_anew_and_the_request_is_refused(report: dict[str, Any]) -> None:
    running = Running()
    actions = running.report(**report)
    assert [a.message.code for a in actions if isinstance(a, e.Refuse)] == ["unavailable"]
    assert running.plan(actions).number == 0
    assert running.core.idle
    assert check_integrity(running.core)["x"]["free"] == 16


def test_a_step_far_ahead_of_another_plan_epoch_does_not_make_it_deaf() -> None:
    running = Running()
    running.report(step=10**15, plan_epoch=99, length=6, counts=[1], token_ids=[8])
    actions = running.report(step=1, length=6, counts=[1], token_ids=[8])
    assert running.plan(actions).number == 0
    assert running.core.idle


def test_what_a_failed_step_has_written_is_not_cached() -> None:
    """The model gave no number: neither the rest of the prompt nor what was drawn is worth a hit."""
    core = SchedulerCore("s", SchedulerPolicy(grant_ahead_tokens=4), plan_epoch=3)
    capacity = Capacity(num_pages=16, page_size=4, max_running=4, token_budget=64)
    core.step([e.ExecutorJoined("x", EPOCH, capacity)], 0.0)
    prompt = list(range(1, 14))

    def submit(name: str) -> Admit:
        request = Tokenized(name, 0, "gw", "d", pack(prompt), params=limited(9))
        return Running.plan(core.step([e.Submit(request)], 1.0)).admits[0]

    def report(step: int, sequence_id: int, plan: int, *, length: int, finish: int) -> None:
        columns = {"sequence_ids": [sequence_id], "lengths": [length], "counts": [0], "finishes": [finish]}
        packed: dict[str, Any] = {name: pack(column) for name, column in columns.items()}
        core.step([e.Report(StepReport(executor="x", epoch=EPOCH, plan_epoch=3, plan=plan, step=step, **packed))], 2.0)

    first = submit("a")
    report(0, first.sequence_id, 1, length=8, finish=FinishReason.NONE)
    report(1, first.sequence_id, 1, length=13, finish=FinishReason.ERROR)
    assert core.idle
    check_integrity(core)
    again = submit("b")
    assert again.num_cached == 8, "the good chunk before the failed one is"
