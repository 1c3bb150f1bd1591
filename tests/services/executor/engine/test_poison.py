"""A request that can't be computed ends alone: the others get the tokens that they get without it."""

from typing import Any

import msgspec
import pytest

from tests.fake_runner import FakeRunner, predict
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.failures import no_number
from xylem.services.executor.step.logits_processor import LogitsProcessor
from xylem.services.executor.step.row import StepRow, fail_row
from xylem.shared.protocol import Admit, FinishReason, GenerationParams, LogprobParams, SamplingParams, StopConditions
from xylem.shared.protocol.columns import pack, pack_floats

POISON, FREE = 1, 2
PROMPTS = {POISON: [5, 6, 7, 8], FREE: [9, 10]}


@pytest.fixture(params=[False, True], ids=["in step", "one step ahead"])
def runner(request: pytest.FixtureRequest) -> FakeRunner:
    return FakeRunner(runs_ahead=request.param)


def asking(**params: Any) -> Admit:
    good = admit(POISON, PROMPTS[POISON], [2, 3])
    return msgspec.structs.replace(good, start=msgspec.structs.replace(good.start, params=GenerationParams(**params)))


def run_with(runner: FakeRunner, poison: Admit) -> tuple[list[int], list[tuple[str, str]], dict[int, int]]:
    """The free sequence's tokens, the requests that were refused with their codes, and how each sequence ended."""
    engine = Engine(runner, max_running=4, token_budget=16, eos_token_ids=(), epoch=EXECUTOR_EPOCH)
    assert engine.apply(plan(0, poison, admit(FREE, PROMPTS[FREE], [4, 5])))
    free: list[int] = []
    refused: list[tuple[str, str]] = []
    ends: dict[int, int] = {}
    while engine.has_work():
        output = engine.step()
        engine.check_integrity()
        new = iter(output.token_ids)
        for sequence_id, count, finish in zip(output.sequence_ids, output.counts, output.finishes, strict=True):
            tokens = [next(new) for _ in range(count)]
            free += tokens if sequence_id == FREE else []
            ends |= {sequence_id: finish} if finish else {}
        refused += [(start.request_id, failure.code) for start, failure in output.refused]
    assert engine.num_running == 0
    return free, refused, ends


def check_alone(runner: FakeRunner, poison: Admit, code: str) -> None:
    free, refused, ends = run_with(runner, poison)
    assert free == predict(PROMPTS[FREE], 4)[0]
    assert refused == [("r1", code)]
    assert ends == {POISON: FinishReason.ERROR, FREE: FinishReason.LENGTH}


IMPOSSIBLE: dict[str, Admit] = {
    "a prompt's token": admit(POISON, [5, 1000], [2, 3]),
    "a negative one": admit(POISON, [5, -1], [2, 3]),
    "a token of earlier output": msgspec.structs.replace(
        asking(), start=msgspec.structs.replace(asking().start, output_ids=pack([1000]))
    ),
    "a seen token": msgspec.structs.replace(
        asking(sampling=SamplingParams(repetition_penalty=2.0)), seen_ids=pack([2**31 - 1])
    ),
    "a biased token": asking(sampling=SamplingParams(bias_ids=pack([1000]), bias_values=pack_floats([1.0]))),
    "a bias without a token": asking(sampling=SamplingParams(bias_values=pack_floats([1.0]))),
    "a token whose log probability is asked for": asking(logprobs=LogprobParams(num_top=1, token_ids=pack([-5]))),
    "a broken column of stop ids": asking(stop_conditions=StopConditions(stop_token_ids=b"abc")),
    "a broken column of biases": asking(sampling=SamplingParams(bias_ids=b"abc", bias_values=b"abcd")),
}


@pytest.mark.parametrize("poison", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_can_not_be_asked_for_is_refused_alone(runner: FakeRunner, poison: Admit) -> None:
    check_alone(runner, poison, "invalid_request")


@pytest.mark.parametrize("strange", [1000, 2**31 - 1, 151_645])
def test_a_stop_token_that_there_is_not_stops_nothing(runner: FakeRunner, strange: int) -> None:
    poison = asking(stop_conditions=StopConditions(stop_token_ids=pack([strange]), min_tokens=3))
    free, refused, ends = run_with(runner, poison)
    assert free == predict(PROMPTS[FREE], 4)[0]
    assert (refused, ends) == ([], {POISON: FinishReason.LENGTH, FREE: FinishReason.LENGTH})


class Broken(Exception):
    """A fault of ours, in the work for one sequence."""


def test_an_exception_while_tokens_are_taken(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: LogitsProcessor, token_id: int) -> None:
        raise Broken

    monkeypatch.setattr(LogitsProcessor, "accept_token", add)
    check_alone(runner, asking(sampling=SamplingParams(frequency_penalty=1.0)), "internal_error")


def test_an_exception_while_tokens_are_told(runner: FakeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(*_: Any) -> None:
        raise Broken

    monkeypatch.setattr("xylem.services.executor.engine.engine.logprobs_message", scores)
    check_alone(runner, asking(logprobs=LogprobParams(num_top=1)), "internal_error")


@pytest.mark.parametrize(
    ("error", "code"),
    [(Broken(), "internal_error"), (no_number(), "model_failure"), (ValueError("x"), "internal_error")],
)
def test_a_row_that_the_runner_failed(runner: FakeRunner, error: Exception, code: str) -> None:
    sample = runner.sample

    def failing(row: StepRow, places: Any) -> list[int]:
        if row.sampling.seed == 666:
            fail_row(row, error)
        return sample(row, places)

    runner.sample = failing  # type: ignore[method-assign]
    check_alone(runner, asking(sampling=SamplingParams(seed=666)), code)


def test_a_sequence_that_fails_in_the_middle_ends_where_it_is_told(
    runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = SequenceState.accept_token

    def failing(self: SequenceState, token_id: int) -> Any:
        if self.sequence_id == POISON and self.num_new == 2:
            raise Broken
        return accept(self, token_id)

    monkeypatch.setattr(SequenceState, "accept_token", failing)
    free, refused, ends = run_with(runner, asking())
    assert free == predict(PROMPTS[FREE], 4)[0]
    assert refused == []  # its detokenizer is told, which has tokens of it
    assert ends == {POISON: FinishReason.ERROR, FREE: FinishReason.LENGTH}
