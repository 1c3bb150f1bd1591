from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.fake_runner import FakeRunner, predict
from tests.services.executor.plans import EXECUTOR_EPOCH, NaiveScheduler, admit, plan
from xylem.services.executor.engine.engine import NO_EPOCH, Engine, PlanGap, SequenceIntegrityError
from xylem.services.executor.engine.step_output import StepOutput
from xylem.shared.protocol import FinishReason, PageCopy, Plan, SamplingParams

EOS = 3


MakeEngine = Callable[..., Engine]


def engine_of(runner: FakeRunner, **options: Any) -> Engine:
    given = {"max_running": 8, "token_budget": 16, "eos_token_ids": (), "epoch": EXECUTOR_EPOCH, **options}
    return Engine(runner, **given)


@pytest.fixture(params=[False, True], ids=["in step", "one step ahead"])
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    return lambda **options: engine_of(FakeRunner(runs_ahead=request.param), **options)


def run(engine: Engine) -> list[StepOutput]:
    """Steps until there is nothing to do."""
    outputs: list[StepOutput] = []
    while engine.has_work():
        outputs.append(engine.step())
        engine.check_integrity()
    return outputs


def tokens_of(outputs: list[StepOutput], sequence_id: int) -> list[int]:
    found: list[int] = []
    for output in outputs:
        tokens = iter(output.token_ids)
        for row, count in enumerate(output.counts):
            new = [next(tokens) for _ in range(count)]
            if output.sequence_ids[row] == sequence_id:
                found.extend(new)
    return found


def test_a_sequence_runs_to_its_limit(make_engine: MakeEngine) -> None:
    engine = make_engine()
    assert engine.apply(plan(0, admit(1, [5, 6, 7], [2, 9], max_new_tokens=4, offset=10)))
    outputs = run(engine)
    assert tokens_of(outputs, 1) == predict([5, 6, 7], 4)[0]
    assert [output.lengths for output in outputs] == [[3], [4], [5], [6]]
    assert [output.offsets for output in outputs] == [[10], [11], [12], [13]]
    assert [output.finishes for output in outputs] == [[FinishReason.NONE]] * 3 + [[FinishReason.LENGTH]]
    assert [output.step for output in outputs] == [0, 1, 2, 3]
    assert [output.num_running for output in outputs] == [1, 1, 1, 0]
    assert not engine.has_work()


def test_the_opening_comes_with_the_first_token_only(make_engine: MakeEngine) -> None:
    engine = make_engine(token_budget=4)
    request = admit(1, range(6), [0, 1, 2], max_new_tokens=2)
    engine.apply(plan(0, request))
    outputs = run(engine)
    assert [output.counts for output in outputs] == [[0], [1], [1]]
    assert [output.starts for output in outputs] == [{}, {0: request.start}, {}]


def test_end_of_sequence_is_the_last_token(make_engine: MakeEngine) -> None:
    eos = predict([1, 2], 3)[0][1]
    engine = make_engine(eos_token_ids=[eos])
    engine.apply(plan(0, admit(1, [1, 2], [0, 1], max_new_tokens=5)))
    outputs = run(engine)
    assert tokens_of(outputs, 1)[-1] == eos
    assert len(outputs) == 2
    assert outputs[-1].finishes == [FinishReason.STOP]


def test_ignore_eos_reads_over_it_but_stop_ids_still_end(make_engine: MakeEngine) -> None:
    expected = predict([1, 2], 5)[0]
    engine = make_engine(eos_token_ids=[expected[1]])
    engine.apply(plan(0, admit(1, [1, 2], [0, 1], max_new_tokens=5, ignore_eos=True, stop_token_ids=[expected[3]])))
    outputs = run(engine)
    assert tokens_of(outputs, 1) == expected[:4]
    assert outputs[-1].finishes == [FinishReason.STOP]


def test_prompts_are_read_in_chunks_beside_decoding(make_engine: MakeEngine) -> None:
    engine = make_engine(token_budget=5)
    engine.apply(plan(0, admit(1, [1, 2], range(4), max_new_tokens=8)))
    outputs = [engine.step()]
    engine.apply(plan(1, admit(2, range(10), range(4, 8), max_new_tokens=3)))
    outputs += run(engine)
    assert tokens_of(outputs, 1) == predict([1, 2], 8)[0]
    assert tokens_of(outputs, 2) == predict(range(10), 3)[0]
    beside = [output for output in outputs if output.sequence_ids == [1, 2]]
    assert [output.lengths[1] for output in beside[:3]] == [4, 8, 10]


def test_cached_pages_and_a_partial_copy_stand_for_what_is_not_read(make_engine: MakeEngine) -> None:
    engine = make_engine()
    prompt = [1, 2, 3, 4, 5, 6, 7]
    engine.apply(plan(0, admit(1, prompt, [0, 1, 2], max_new_tokens=2)))
    run(engine)
    copy = PageCopy(source=1, target=3, num_tokens=2)
    engine.apply(plan(1, admit(2, [50, 51], [0, 3], num_cached=6, copy=copy, max_new_tokens=1)))
    assert tokens_of(run(engine), 2) == predict([*prompt[:6], 50, 51], 1)[0]


def test_a_sequence_waits_for_its_grant(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1, 2, 3], [0], max_new_tokens=6)))
    outputs = run(engine)
    assert len(outputs) == 2
    assert engine.num_running == 1
    engine.apply(plan(1, grants={1: [7, 8]}))
    outputs += run(engine)
    assert tokens_of(outputs, 1) == predict([1, 2, 3], 6)[0]


def test_what_is_drawn_after_the_end_is_not_told(make_engine: MakeEngine) -> None:
    expected = predict([1, 2], 5)[0]
    engine = make_engine(eos_token_ids=[expected[2]])
    engine.apply(plan(0, admit(1, [1, 2], [0, 1], max_new_tokens=5), admit(2, [7], [2, 3], max_new_tokens=6)))
    outputs = run(engine)
    assert tokens_of(outputs, 1) == expected[:3]
    assert tokens_of(outputs, 2) == predict([7], 6)[0]
    assert [output.num_running for output in outputs] == [2, 2, 1, 1, 1, 0]


def test_a_draw_of_who_has_ended_is_not_begun() -> None:
    expected = predict([1, 2], 5)[0]
    runner = FakeRunner(runs_ahead=True)
    engine = engine_of(runner, eos_token_ids=[expected[2]])
    engine.apply(plan(0, admit(1, [1, 2], [0, 1], max_new_tokens=5), admit(2, [7], [2, 3], max_new_tokens=6)))
    for _ in range(3):
        engine.step()
    assert engine.num_running == 1
    assert [row.sample for row in runner.rows] == [False, True]


def test_a_name_and_a_slot_serve_again_while_their_last_step_is_under_way(make_engine: MakeEngine) -> None:
    engine = make_engine(max_running=1)
    engine.apply(plan(0, admit(1, [1, 2], [0, 1], max_new_tokens=5)))
    engine.step()
    engine.apply(plan(1, admit(1, [30], [0, 1], max_new_tokens=5), drops=[1]))
    assert tokens_of(run(engine), 1) == predict([30], 5)[0]


def test_nothing_is_heard_of_a_dropped_sequence(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0, 1], max_new_tokens=8), admit(2, [2], [2, 3], max_new_tokens=2)))
    engine.step()
    engine.apply(plan(1, drops=[1]))
    assert engine.step().sequence_ids == [2]
    assert engine.num_running == 0


def test_dropped_pages_serve_an_admit_of_the_same_plan(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1, 2, 3], [0, 1], max_new_tokens=8)))
    engine.step()
    engine.apply(plan(1, admit(2, [4, 5], [1, 0], max_new_tokens=5), drops=[1]))
    assert tokens_of(run(engine), 2) == predict([4, 5], 5)[0]


def test_drops_and_grants_of_what_has_finished_are_nothing(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0], max_new_tokens=1)))
    engine.step()
    assert engine.apply(plan(1, drops=[1], grants={1: [5]}))
    assert not engine.has_work()
    assert engine.step().sequence_ids == []


def test_an_idle_step_acknowledges_the_plan(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0], max_new_tokens=3)))
    engine.step()
    engine.apply(plan(1, drops=[1]))
    output = engine.step()
    assert (output.plan_epoch, output.plan, output.step, output.sequence_ids) == (1, 1, 1, [])


def test_sampling_travels_to_the_runner(make_engine: MakeEngine) -> None:
    engine = make_engine()
    sampling = SamplingParams(temperature=0.5, seed=11)
    engine.apply(plan(0, admit(1, [1], [0, 1], max_new_tokens=3, sampling=sampling)))
    assert tokens_of(run(engine), 1) == predict([1], 3, sampling=sampling)[0]
    assert predict([1], 3, sampling=sampling) != predict([1], 3)


def test_a_plan_for_another_life_is_ignored(make_engine: MakeEngine) -> None:
    engine = make_engine()
    assert not engine.apply(plan(0, admit(1, [1], [0]), executor_epoch=EXECUTOR_EPOCH - 1))
    assert engine.num_running == 0
    assert engine.apply(plan(0))


def test_an_engine_without_a_life_takes_no_plan(make_engine: MakeEngine) -> None:
    engine = make_engine(epoch=NO_EPOCH)
    assert not engine.apply(plan(0))
    engine.reset(8)
    assert engine.apply(plan(0, executor_epoch=8))


def test_a_new_plan_epoch_forgets_what_ran(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0, 1])))
    engine.step()
    assert engine.apply(plan(0, admit(2, [2], [0, 1]), epoch=2))
    assert engine.step().sequence_ids == [2]


def test_a_sequence_ends_where_the_context_does(make_engine: MakeEngine) -> None:
    engine = make_engine(context_length=6)
    engine.apply(plan(0, admit(1, [5, 6, 7], [2, 9], max_new_tokens=100)))
    outputs = run(engine)
    assert tokens_of(outputs, 1) == predict([5, 6, 7], 3)[0]
    assert outputs[-1].finishes == [FinishReason.LENGTH]
    with pytest.raises(PlanGap, match="6 tokens leave no room in a context of 6"):
        engine.apply(plan(1, admit(2, [1] * 6, [2, 9])))


@pytest.mark.parametrize(
    "late",
    [plan(0), plan(2), plan(1, epoch=2), plan(7, epoch=2)],
    ids=["repeated", "skipped", "middle of another epoch", "far in another epoch"],
)
def test_a_gap_is_told(make_engine: MakeEngine, late: Plan) -> None:
    engine = make_engine()
    engine.apply(plan(0))
    with pytest.raises(PlanGap, match=f"plan {late.number} of epoch {late.epoch} came after plan 0 of epoch 1"):
        engine.apply(late)
    engine.reset(EXECUTOR_EPOCH + 1)
    assert not engine.apply(plan(1))
    assert engine.apply(plan(0, executor_epoch=EXECUTOR_EPOCH + 1))


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (plan(1, admit(1, [2], [2])), "sequence 1 runs already"),
        (plan(1, admit(2, [], [2])), "nothing to read"),
        (plan(1, admit(2, [2], [64])), "page outside"),
        (plan(1, admit(2, [2], [2], num_cached=5)), "5 cached tokens in 1 pages"),
        (plan(1, admit(2, [2], [2], num_cached=1, copy=PageCopy(64, 2, 1))), "page outside"),
        (plan(1, admit(2, [2], [2], num_cached=1, copy=PageCopy(3, 2, 5))), "a copy of 5 tokens"),
        (plan(1, admit(2, [2], [2], offset=2**31 - 4)), "don't fit into a column"),
        (plan(1, grants={1: [-1]}), "page outside"),
        (plan(1, *(admit(i, [2], [i]) for i in range(2, 6))), "more than 4 sequences"),
        (Plan(scheduler="s", epoch=1, number=1, executor_epoch=EXECUTOR_EPOCH, drops=b"abc"), "can't be applied"),
    ],
)
def test_an_impossible_plan_counts_as_a_gap(make_engine: MakeEngine, bad: Plan, fault: str) -> None:
    engine = make_engine(max_running=4)
    engine.apply(plan(0, admit(1, [1], [0])))
    with pytest.raises(PlanGap, match=fault):
        engine.apply(bad)


def test_integrity_sees_a_page_with_two_writers(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0]), admit(2, [2], [0])))
    with pytest.raises(SequenceIntegrityError, match="sequence 1 writes page 0, which others hold"):
        engine.check_integrity()


def test_integrity_sees_a_page_twice_in_a_table(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(plan(0, admit(1, [1], [0, 0])))
    with pytest.raises(SequenceIntegrityError, match="a page twice"):
        engine.check_integrity()


def prompts(max_size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 19), min_size=1, max_size=max_size)


class Histories(RuleBasedStateMachine):
    """Random histories of a naive scheduler, whose news of the engine may be late."""

    runs_ahead = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = FakeRunner(num_pages=24, page_size=3, vocab_size=20, runs_ahead=self.runs_ahead)
        self.engine = engine_of(self.runner, max_running=5, token_budget=7, eos_token_ids=[EOS])
        self.unheard: list[StepOutput] = []
        self.begin()

    def begin(self) -> None:
        self.unheard.clear()
        self.scheduler = NaiveScheduler(24, 3, 20, frozenset([EOS]))

    def pick(self, index: int) -> int | None:
        ids = list(self.scheduler.running)
        return ids[index % len(ids)] if ids else None

    @rule(prompt=prompts(12), max_new_tokens=st.integers(1, 9), seed=st.integers(0, 3))
    def submit(self, prompt: list[int], max_new_tokens: int, seed: int) -> None:
        if len(self.scheduler.running) < self.engine.max_running:
            self.scheduler.submit(prompt, max_new_tokens, SamplingParams(seed=seed))

    @precondition(lambda self: self.scheduler.donors())
    @rule(prompt=prompts(4), index=st.integers(0, 9))
    def share(self, prompt: list[int], index: int) -> None:
        """A prompt that begins with all that another sequence has computed."""
        if len(self.scheduler.running) < self.engine.max_running:
            donors = self.scheduler.donors()
            self.scheduler.submit(prompt, 5, SamplingParams(), donors[index % len(donors)])

    @rule(index=st.integers(0, 9), count=st.integers(1, 2))
    def grant(self, index: int, count: int) -> None:
        sequence_id = self.pick(index)
        if sequence_id is not None:
            self.scheduler.grant(sequence_id, count)

    @rule(index=st.integers(0, 9))
    def drop(self, index: int) -> None:
        sequence_id = self.pick(index)
        if sequence_id is not None:
            self.scheduler.drop(sequence_id)

    @rule()
    def send(self) -> None:
        assert self.engine.apply(self.scheduler.next_plan())

    @rule()
    def step(self) -> None:
        self.unheard.append(self.engine.step())

    @precondition(lambda self: self.unheard)
    @rule()
    def hear(self) -> None:
        self.scheduler.hear(self.unheard.pop(0))

    @rule(count=st.integers(1, 4))
    def go_on(self, count: int) -> None:
        """Some steps with all that they need, and no news is late."""
        self.scheduler.grant_ahead()
        self.send()
        for _ in range(count):
            self.step()
        while self.unheard:
            self.hear()

    @rule(epoch=st.integers(0, 6))
    def stale(self, epoch: int) -> None:
        before = self.engine.num_running
        assert not self.engine.apply(plan(0, admit(900, [1], [0]), epoch=99, executor_epoch=epoch))
        assert self.engine.num_running == before

    @precondition(lambda self: self.scheduler.number > 5)
    @rule()
    def lose_a_plan(self) -> None:
        self.scheduler.next_plan()
        with pytest.raises(PlanGap):
            self.engine.apply(self.scheduler.next_plan())
        self.engine.reset(EXECUTOR_EPOCH)
        self.begin()
        assert self.engine.num_running == 0

    @invariant()
    def books_are_in_order(self) -> None:
        self.engine.check_integrity()
        in_flight = len(self.scheduler.drops)
        assert self.engine.num_running <= len(self.scheduler.running) + in_flight

    def teardown(self) -> None:
        """Whatever happened: with pages enough, everything comes to its end and nothing is left."""
        rounds = 0
        while self.scheduler.running:
            rounds += 1
            assert rounds < 200, "a sequence with pages enough does not come to its end"
            for sequence_id in self.scheduler.grant_ahead():
                self.scheduler.drop(sequence_id)
            self.send()
            self.step()
            while self.unheard:
                self.hear()
            self.engine.check_integrity()
        self.send()
        assert self.engine.num_running == 0
        assert not +self.scheduler.references


class HistoriesAhead(Histories):
    """The same of an engine that launches each step before it knows what the last one has drawn."""

    runs_ahead = True


Histories.TestCase.settings = HistoriesAhead.TestCase.settings = settings(max_examples=60, stateful_step_count=50)
TestHistories = Histories.TestCase
TestHistoriesAhead = HistoriesAhead.TestCase
