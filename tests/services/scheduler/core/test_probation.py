"""Requests during which executors have died: one at a time, and where they disturb none but their like."""

from typing import Any

from tests.services.scheduler.simulation import limited
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Capacity, FinishReason, StepReport, Tokenized
from xylem.shared.protocol.columns import pack

CAPACITY = Capacity(num_pages=64, page_size=4, max_running=8, token_budget=64)
POLICY = SchedulerPolicy(grant_ahead_tokens=8, probation_tokens=4, probation_patience_s=10.0)


class Pool:
    """A core, its executors, and what runs where."""

    def __init__(self, *executors: str) -> None:
        self.core = SchedulerCore("s", POLICY, plan_epoch=3)
        self.running: dict[str, tuple[str, int, int]] = {}  # executor, sequence id, prompt tokens
        self._steps: dict[str, int] = {}
        self._plans: dict[str, int] = {}
        self.feed(*(e.ExecutorJoined(name, 1, CAPACITY) for name in executors))

    def feed(self, *events: e.Event, now: float = 1.0) -> None:
        for action in self.core.step(list(events), now):
            if isinstance(action, e.SendPlan):
                self._plans[action.executor] = action.plan.number
                for admit in action.plan.admits:
                    num_prompt = admit.num_cached + len(admit.token_ids) // 4
                    self.running[admit.start.request_id] = action.executor, admit.sequence_id, num_prompt
        check_integrity(self.core)

    def submit(self, name: str, *, suspected: bool = False, now: float = 1.0, num_output: int = 0) -> None:
        prompt = pack([hash(name) % 1000 + i for i in range(5)])
        message = Tokenized(name, 0, "gw", "d", prompt, pack([7] * num_output), params=limited(20), suspected=suspected)
        self.feed(e.Submit(message), now=now)

    def report(self, name: str, num_tokens: int, finish: int = FinishReason.NONE, *, have: int = 0) -> None:
        """num_tokens: the step's, after `have` earlier ones."""
        executor, sequence_id, num_prompt = self.running[name]
        step = self._steps.get(executor, -1) + 1
        self._steps[executor] = step
        columns: dict[str, list[int]] = {
            "sequence_ids": [sequence_id], "lengths": [num_prompt + have + num_tokens - 1], "counts": [num_tokens],
            "token_ids": [7] * num_tokens, "finishes": [finish],
        }  # fmt: skip
        packed: dict[str, Any] = {key: pack(column) for key, column in columns.items()}
        plan_epoch = self.core.executors[executor].plan_epoch
        self.feed(
            e.Report(
                StepReport(
                    executor=executor, epoch=1, plan_epoch=plan_epoch, plan=self._plans[executor], step=step, **packed
                )
            )
        )

    def where(self, name: str) -> str:
        return self.running[name][0] if name in self.running else ""


def test_a_suspect_goes_where_nobody_runs() -> None:
    pool = Pool("a")
    pool.submit("innocent")
    pool.submit("suspect", suspected=True)
    assert pool.where("suspect") == ""
    pool.feed(e.ExecutorJoined("b", 1, CAPACITY))
    assert pool.where("suspect") == "b"


def test_an_executor_that_is_left_is_not_put_at_risk_while_another_may_come_back() -> None:
    pool = Pool("a", "b")
    pool.feed(e.ExecutorLeft("a"))
    pool.submit("suspect", suspected=True)
    assert pool.where("suspect") == ""
    pool.feed(e.ExecutorJoined("a", 2, CAPACITY))
    assert pool.where("suspect") == "a", "the younger one is the one that died"


def test_an_executor_that_does_not_come_back_is_waited_for_in_vain() -> None:
    pool = Pool("a", "b")
    pool.feed(e.ExecutorLeft("a"))
    pool.submit("suspect", suspected=True)
    pool.feed(now=10.9)
    assert pool.where("suspect") == ""
    pool.feed(now=11.0)
    assert pool.where("suspect") == "b"


def test_an_executor_that_left_long_ago_is_not_waited_for() -> None:
    pool = Pool("a", "b")
    pool.feed(e.ExecutorLeft("a"))
    pool.submit("suspect", suspected=True, now=11.5)
    assert pool.where("suspect") == "b"


def test_suspects_run_one_at_a_time_and_nobody_beside_them() -> None:
    pool = Pool("a", "b")
    pool.submit("innocent")
    taken = pool.where("innocent")
    other = {"a": "b", "b": "a"}[taken]
    pool.submit("first", suspected=True)
    pool.submit("second", suspected=True)
    pool.submit("late")
    assert (pool.where("first"), pool.where("second"), pool.where("late")) == (other, "", taken)
    pool.report("first", 3)
    assert pool.where("second") == ""
    pool.report("first", 1, have=3)
    assert pool.where("second") == other, "four tokens have cleared the first; they are of one kind"
    pool.report("second", 4, FinishReason.STOP)
    pool.submit("after")
    assert pool.where("after") == other


def test_who_had_tokens_goes_on_before_who_had_none() -> None:
    pool = Pool("a")
    pool.submit("innocent")
    pool.submit("poison", suspected=True)
    pool.submit("new", suspected=True)
    pool.submit("long", suspected=True, num_output=9)
    pool.submit("short", suspected=True, num_output=1)
    order: list[str] = []
    pool.report("innocent", 1, FinishReason.STOP)
    for _ in range(4):
        order += [name for name in ("poison", "new", "long", "short") if pool.where(name) and name not in order]
        pool.report(order[-1], 1, FinishReason.STOP)
    assert order == ["long", "short", "poison", "new"]


def test_a_suspect_that_ends_early_makes_room_for_the_next() -> None:
    pool = Pool("a")
    pool.submit("first", suspected=True)
    pool.submit("second", suspected=True)
    assert (pool.where("first"), pool.where("second")) == ("a", "")
    pool.report("first", 1, FinishReason.ERROR)
    assert pool.where("second") == "a"


def test_the_death_of_its_executor_leaves_no_trace() -> None:
    pool = Pool("a")
    pool.submit("first", suspected=True)
    pool.feed(e.ExecutorLeft("a"))
    pool.feed(e.ExecutorJoined("a", 2, CAPACITY))
    pool.submit("second", suspected=True)
    assert pool.where("second") == "a"


def test_patience_ends_where_executors_are_never_quiet() -> None:
    pool = Pool("a")
    pool.submit("innocent")
    pool.submit("suspect", suspected=True, now=2.0)
    pool.feed(now=11.9)
    assert pool.where("suspect") == ""
    pool.feed(now=12.0)
    assert pool.where("suspect") == "a"
