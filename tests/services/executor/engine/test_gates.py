"""Readiness gates of a kind that the engine does not know."""

from dataclasses import dataclass, field

import pytest

from tests.fake_runner import FakeRunner, predict
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.engine.step_output import StepOutput
from xylem.services.executor.failures import SequenceFailed
from xylem.shared.protocol import Admit, FinishReason

WAITING, FREE = 1, 2
PROMPTS = {WAITING: [5, 6, 7, 8], FREE: [9, 10]}


@dataclass
class Delivery:
    """A gate that opens when it is told to, as if something had arrived for its sequence."""

    allows_prefill: bool
    has_arrived: bool = False
    failure: SequenceFailed | None = None
    opened_for: list[int] = field(default_factory=list)

    def is_done(self) -> bool:
        return self.has_arrived

    def open_for(self, sequence: SequenceState) -> None:
        if self.failure is not None:
            raise self.failure
        self.opened_for.append(sequence.sequence_id)


@pytest.fixture(params=[False, True], ids=["in step", "one step ahead"])
def runner(request: pytest.FixtureRequest) -> FakeRunner:
    return FakeRunner(runs_ahead=request.param)


def engine_with(runner: FakeRunner, *gates: Delivery) -> Engine:
    """An engine with the waiting sequence, which has these gates, and a free one."""

    def factory(gate: Delivery, admitted: Admit) -> Delivery | None:
        return gate if admitted.sequence_id == WAITING else None

    engine = Engine(
        runner,
        max_running=4,
        token_budget=16,
        eos_token_ids=(),
        epoch=EXECUTOR_EPOCH,
        gates=[lambda admitted, _, gate=gate: factory(gate, admitted) for gate in gates],
    )
    admits = [admit(WAITING, PROMPTS[WAITING], [2, 3]), admit(FREE, PROMPTS[FREE], [4, 5])]
    assert engine.apply(plan(0, *admits))
    return engine


def run(engine: Engine) -> tuple[dict[int, list[int]], list[StepOutput]]:
    """Steps until nothing is ready: the tokens by sequence, and the outputs."""
    token_ids: dict[int, list[int]] = {}
    outputs: list[StepOutput] = []
    while engine.has_work():
        outputs.append(engine.step())
        engine.check_integrity()
        new = iter(outputs[-1].token_ids)
        for sequence_id, count in zip(outputs[-1].sequence_ids, outputs[-1].counts, strict=True):
            token_ids.setdefault(sequence_id, []).extend(next(new) for _ in range(count))
    return token_ids, outputs


def length_of(outputs: list[StepOutput], sequence_id: int) -> int:
    """Tokens of the sequence that were computed by the end."""
    return max(
        (n for o in outputs for i, n in zip(o.sequence_ids, o.lengths, strict=True) if i == sequence_id), default=0
    )


@pytest.mark.parametrize(("allows_prefill", "num_prefilled"), [(True, len(PROMPTS[WAITING]) - 1), (False, 0)])
def test_a_sequence_waits_for_its_gate_and_holds_up_no_other(
    runner: FakeRunner, allows_prefill: bool, num_prefilled: int
) -> None:
    gate = Delivery(allows_prefill)
    engine = engine_with(runner, gate)
    token_ids, outputs = run(engine)
    assert token_ids.get(WAITING, []) == []
    assert token_ids[FREE] == predict(PROMPTS[FREE], 4)[0]
    assert length_of(outputs, WAITING) == num_prefilled
    assert engine.num_running == 1
    gate.has_arrived = True
    assert engine.has_work()
    token_ids, _ = run(engine)
    assert token_ids[WAITING] == predict(PROMPTS[WAITING], 4)[0]
    assert gate.opened_for == [WAITING]
    assert engine.num_running == 0


def test_a_gate_that_fails_ends_its_sequence_only(runner: FakeRunner) -> None:
    failure = SequenceFailed("the KV was lost on its way", code="unavailable")
    engine = engine_with(runner, Delivery(allows_prefill=True, has_arrived=True, failure=failure))
    token_ids, outputs = run(engine)
    assert [(start.request_id, failed) for o in outputs for start, failed in o.refused] == [("r1", failure)]
    ends = {i: finish for o in outputs for i, finish in zip(o.sequence_ids, o.finishes, strict=True) if finish}
    assert ends == {WAITING: FinishReason.ERROR, FREE: FinishReason.LENGTH}
    assert token_ids == {WAITING: [], FREE: predict(PROMPTS[FREE], 4)[0]}
    assert engine.num_running == 0


def test_all_gates_must_open(runner: FakeRunner) -> None:
    first, second = Delivery(allows_prefill=True), Delivery(allows_prefill=False)
    engine = engine_with(runner, first, second)
    first.has_arrived = True
    token_ids, outputs = run(engine)
    assert (first.opened_for, second.opened_for) == ([WAITING], [])
    assert length_of(outputs, WAITING) == 0
    second.has_arrived = True
    token_ids, _ = run(engine)
    assert token_ids[WAITING] == predict(PROMPTS[WAITING], 4)[0]
    assert first.opened_for == [WAITING], "a gate is opened once"


def test_a_dropped_sequence_leaves_its_gate_closed(runner: FakeRunner) -> None:
    gate = Delivery(allows_prefill=True)
    engine = engine_with(runner, gate)
    run(engine)
    engine.apply(plan(1, drops=[WAITING]))
    gate.has_arrived = True
    assert not engine.has_work()
    assert gate.opened_for == []
