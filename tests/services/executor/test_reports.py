from array import array

import pytest
from msgspec.structs import replace

from tests.services.executor.plans import start_of
from xylem.services.executor.engine.step_output import StepOutput
from xylem.services.executor.reports import MAX_EXTRA_BYTES, gateway_answers, step_report, token_deltas
from xylem.services.executor.step.logprobs import RowLogprobs, logprobs_message
from xylem.services.executor.structured_output import GrammarFailed
from xylem.shared.protocol import Embedded, FinishReason, Refused, StepReport, TokenDeltas, decode, encode
from xylem.shared.protocol.columns import unpack, unpack_floats


def output() -> StepOutput:
    """Five rows: two of detokenizer a, two of b, and one that is still reading."""
    return StepOutput(
        epoch=7,
        plan_epoch=1,
        plan=4,
        step=12,
        sequence_ids=[1, 2, 3, 4, 5],
        lengths=[10, 20, 30, 40, 50],
        counts=[1, 1, 0, 2, 1],
        token_ids=[100, 200, 400, 401, 500],
        finishes=[FinishReason.NONE, FinishReason.STOP, FinishReason.NONE, FinishReason.LENGTH, FinishReason.NONE],
        offsets=[0, 5, 0, 7, 0],
        detokenizers=["a", "b", "a", "a", "b"],
        starts={0: start_of("r1"), 4: start_of("r5")},
        num_running=3,
        duration_us=999,
    )


def test_the_scheduler_hears_every_row() -> None:
    report = decode(encode(step_report(output(), "x")), StepReport)
    assert (report.executor, report.epoch, report.plan_epoch, report.plan, report.step) == ("x", 7, 1, 4, 12)
    assert list(unpack(report.sequence_ids)) == [1, 2, 3, 4, 5]
    assert list(unpack(report.lengths)) == [10, 20, 30, 40, 50]
    assert list(unpack(report.counts)) == [1, 1, 0, 2, 1]
    assert list(unpack(report.token_ids)) == [100, 200, 400, 401, 500]
    assert list(unpack(report.finishes)) == [0, FinishReason.STOP, 0, FinishReason.LENGTH, 0]
    assert report.duration_us == 999


def test_each_detokenizer_hears_its_rows_with_tokens() -> None:
    groups = {name: decode(encode(deltas), TokenDeltas) for name, deltas in token_deltas(output(), "x")}
    assert set(groups) == {"a", "b"}
    a, b = groups["a"], groups["b"]
    assert list(unpack(a.sequence_ids)) == [1, 4]
    assert list(unpack(a.offsets)) == [0, 7]
    assert list(unpack(a.counts)) == [1, 2]
    assert list(unpack(a.token_ids)) == [100, 400, 401]
    assert list(unpack(a.finishes)) == [0, FinishReason.LENGTH]
    assert a.starts == ((1, start_of("r1")),)
    assert list(unpack(b.sequence_ids)) == [2, 5]
    assert list(unpack(b.token_ids)) == [200, 500]
    assert b.starts == ((5, start_of("r5")),)
    assert (b.executor, b.epoch) == ("x", 7)


def test_a_step_without_rows_tells_the_scheduler_only() -> None:
    idle = StepOutput(epoch=7, plan_epoch=1, plan=4, step=12)
    assert step_report(idle, "x").plan == 4
    assert token_deltas(idle, "x") == []


def test_an_end_without_a_token_is_for_the_gateway() -> None:
    ended = output()
    ended.finishes[2] = FinishReason.ERROR
    ended.refused.append((start_of("r3"), GrammarFailed("no such keyword", param="regex")))
    assert list(unpack(dict(token_deltas(ended, "x"))["a"].sequence_ids)) == [1, 4]
    [(gateway, refused)] = gateway_answers(ended)
    assert gateway == "g"
    assert refused == Refused("r3", 0, "invalid_request", "no such keyword", "regex")


def test_a_broken_sequence_ends_where_it_was_heard_of() -> None:
    broken = output()
    broken.finishes[2], broken.broken = FinishReason.ERROR, {2}
    group = dict(token_deltas(broken, "x"))["a"]
    assert list(unpack(group.sequence_ids)) == [1, 3, 4]
    assert list(unpack(group.counts)) == [1, 0, 2]
    assert list(unpack(group.token_ids)) == [100, 400, 401]
    assert gateway_answers(broken) == []


def test_states_leave_with_length_one() -> None:
    embedding = StepOutput(epoch=7, plan_epoch=1, plan=4, step=12)
    embedding.embedded += [(start_of("r1"), array("f", [3.0, -4.0])), (start_of("r2"), array("f", [0.0, 0.0]))]
    vectors = []
    for gateway, embedded in gateway_answers(embedding):
        assert gateway == "g"
        assert isinstance(embedded, Embedded)
        vectors.append(list(unpack_floats(embedded.vector)))
    assert vectors == [pytest.approx([0.6, -0.8]), [0.0, 0.0]]
    assert token_deltas(embedding, "x") == []


def test_scores_travel_with_their_rows() -> None:
    scored = output()
    of = {row: logprobs_message([RowLogprobs(-row, [row], [-row], [])]) for row in range(5)}
    scored.logprobs, scored.prompt_logprobs = {1: of[1], 3: of[3]}, {3: of[0]}
    groups = dict(token_deltas(scored, "x"))
    a, b = groups["a"], groups["b"]
    assert (a.scores, a.prompt_scores) == (((1, of[3]),), ((1, of[0]),))
    assert (b.scores, b.prompt_scores) == (((0, of[1]),), ())


def test_huge_openings_are_spread_over_messages() -> None:
    big = StepOutput(epoch=7, plan_epoch=1, plan=4, step=12)
    for row in range(5):
        big.sequence_ids.append(row)
        big.counts.append(1)
        big.token_ids.append(row)
        big.finishes.append(FinishReason.NONE)
        big.offsets.append(0)
        big.detokenizers.append("a")
        big.starts[row] = replace(start_of(), output_ids=bytes(MAX_EXTRA_BYTES // 2))
    messages = token_deltas(big, "x")
    assert [name for name, _ in messages] == ["a", "a"]
    assert all(len(encode(deltas)) < 1 << 20 for _, deltas in messages)
    assert [i for _, deltas in messages for i in unpack(deltas.sequence_ids)] == [0, 1, 2, 3, 4]
