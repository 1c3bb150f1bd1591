"""Adjusted logits against transformers' processors, xgrammar's masks and formulas written out; in any batch."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import xgrammar
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
)

from tests.kernels.backends import EACH_BACKEND, REFERENCE, logits_of
from xylem.kernels.interface import LogitsAdjustment, Ops
from xylem.shared.protocol import SamplingParams

INFINITY = float("inf")
PROMPT, OUTPUT = [3, 7, 7, 20, 11], [7, 9, 9, 9, 20, 31]


def ids(*token_ids: int) -> np.ndarray:
    return np.array(token_ids, dtype=np.int64)


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)


def mask_of(allowed: torch.Tensor) -> torch.Tensor:
    """int32 words from [B, V] bool, one bit after the other: nothing of numpy's or xgrammar's packing."""
    num_rows, vocab_size = allowed.shape
    words = [[0] * math.ceil(vocab_size / 32) for _ in range(num_rows)]
    for row, token in allowed.nonzero().tolist():
        words[row][token // 32] |= 1 << (token % 32)
    return torch.tensor(words, dtype=torch.int64).reshape(num_rows, -1).to(torch.int32)


def adjusted(backend: Ops, logits: torch.Tensor, adjustment: LogitsAdjustment | None, mask: Any = None) -> torch.Tensor:
    """A copy of logits with the same adjustment of every row."""
    changed = logits.clone()
    backend.adjust(changed, [adjustment] * len(logits), mask)
    return changed


@EACH_BACKEND
@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.1, 1.7])
def test_repetition_is_transformers(backend: Ops, penalty: float) -> None:
    logits = logits_of(3, 50)
    logits[:, 7] = 0.0
    seen = torch.tensor([PROMPT + OUTPUT] * 3)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    adjustment = LogitsAdjustment(repetition=penalty, seen_ids=np.unique(PROMPT + OUTPUT))
    assert torch.equal(adjusted(backend, logits, adjustment), expected)


@EACH_BACKEND
@pytest.mark.parametrize(("frequency", "presence"), [(0.5, 0.0), (0.0, 0.7), (-1.3, 0.4), (2.0, -2.0)])
def test_frequency_and_presence_are_openais(backend: Ops, frequency: float, presence: float) -> None:
    logits = logits_of(1, 50)
    expected = logits[0].tolist()
    for token in range(50):
        count = OUTPUT.count(token)
        expected[token] -= count * frequency + (count > 0) * presence
    distinct, counts = np.unique(OUTPUT, return_counts=True)
    adjustment = LogitsAdjustment(
        frequency=frequency, presence=presence, output_ids=distinct, output_counts=counts.astype(np.float32)
    )
    torch.testing.assert_close(
        adjusted(backend, logits, adjustment)[0], torch.tensor(expected), atol=1e-6, rtol=1e-6
    )  # fmt: skip


@EACH_BACKEND
def test_biases_are_transformers(backend: Ops) -> None:
    logits = logits_of(2, 50)
    biases = {3: 5.0, 20: -100.0, 49: 0.25}
    processor = SequenceBiasLogitsProcessor([[[token], bias] for token, bias in biases.items()])
    adjustment = LogitsAdjustment(bias_ids=ids(*biases), bias_values=values(*biases.values()))
    assert torch.equal(adjusted(backend, logits, adjustment), processor(torch.zeros(2, 1).long(), logits.clone()))


@EACH_BACKEND
def test_forbidden_ends_are_transformers(backend: Ops) -> None:
    """min_tokens is this: as long as too few have been drawn, the tokens that would end it are forbidden."""
    logits = logits_of(2, 50)
    processor = MinNewTokensLengthLogitsProcessor(4, 3, [2, 41])
    expected = processor(torch.zeros(2, 6).long(), logits.clone())
    assert expected.isinf().sum() == 4
    assert torch.equal(adjusted(backend, logits, LogitsAdjustment(forbidden_ids=ids(2, 41))), expected)


@EACH_BACKEND
@pytest.mark.parametrize("vocab_size", [1, 31, 32, 33, 64, 1000, 4129])
def test_masks_are_xgrammars(backend: Ops, vocab_size: int) -> None:
    logits = logits_of(4, vocab_size)
    allowed = torch.rand(4, vocab_size, generator=torch.Generator().manual_seed(1)) < 0.5
    allowed[1], allowed[2] = True, False
    mask = mask_of(allowed)
    expected = logits.clone()
    xgrammar.apply_token_bitmask_inplace(expected, mask)
    changed = logits.clone()
    backend.adjust(changed, [None] * 4, mask)
    assert torch.equal(changed, expected)
    assert torch.equal(changed, logits.masked_fill(~allowed, -INFINITY))


@EACH_BACKEND
def test_bits_past_the_vocabulary_do_not_matter(backend: Ops) -> None:
    logits = logits_of(1, 40)
    allowed = torch.ones(1, 64, dtype=torch.bool)
    allowed[0, 5] = False
    without = allowed.clone()
    without[0, 40:] = False
    wider = torch.cat([mask_of(allowed), torch.zeros(1, 3, dtype=torch.int32)], dim=1)
    given = [adjusted(backend, logits, None, mask) for mask in (mask_of(allowed), mask_of(without), wider)]
    assert torch.equal(given[0], given[1])
    assert torch.equal(given[0], given[2])
    assert given[0].isinf().nonzero().tolist() == [[0, 5]]


EVERYTHING = LogitsAdjustment(
    repetition=1.3,
    seen_ids=ids(3, 7, 20, 11, 9, 31),
    frequency=0.4,
    presence=-0.2,
    output_ids=ids(7, 9, 20, 31),
    output_counts=values(1, 3, 1, 1),
    bias_ids=ids(9, 10),
    bias_values=values(4.0, -3.0),
    forbidden_ids=ids(0, 31),
)


@EACH_BACKEND
def test_the_order_is_repetition_counts_biases_and_what_is_not_allowed(backend: Ops) -> None:
    logits = torch.full((1, 40), 2.0)
    logits[0, 9] = -1.0
    allowed = torch.ones(1, 40, dtype=torch.bool)
    allowed[0, 10] = False
    changed = adjusted(backend, logits, EVERYTHING, mask_of(allowed))[0]
    assert changed[9].item() == pytest.approx(-1.0 * 1.3 - (3 * 0.4 - 0.2) + 4.0, abs=1e-6)
    assert changed[7].item() == pytest.approx(2.0 / 1.3 - (0.4 - 0.2), abs=1e-6)
    assert changed[3].item() == pytest.approx(2.0 / 1.3, abs=1e-6)
    assert changed.isinf().nonzero().flatten().tolist() == [0, 10, 31]
    untouched = [i for i in range(40) if i not in {0, 3, 7, 9, 10, 11, 20, 31}]
    assert changed[untouched].tolist() == [2.0] * len(untouched)


@EACH_BACKEND
def test_a_row_without_adjustment_keeps_every_bit(backend: Ops) -> None:
    logits = logits_of(3, 77)
    logits[0, 0], logits[1, 5], logits[2, 76] = -0.0, -INFINITY, 1e-42
    bits = logits.clone().view(torch.int32)
    for mask in (None, torch.full((3, 3), -1, dtype=torch.int32)):
        for adjustment in (
            None,
            LogitsAdjustment(),
            LogitsAdjustment(seen_ids=ids(0), output_ids=ids(5), output_counts=values(2)),
        ):
            assert torch.equal(adjusted(backend, logits, adjustment, mask).view(torch.int32), bits)


@EACH_BACKEND
def test_a_row_does_not_depend_on_the_batch(backend: Ops) -> None:
    logits = logits_of(5, 100)
    adjustments = [EVERYTHING, None, LogitsAdjustment(repetition=2.0, seen_ids=ids(1, 2)), None, EVERYTHING]
    mask = mask_of(torch.rand(5, 100, generator=torch.Generator().manual_seed(2)) < 0.3)
    together = logits.clone()
    backend.adjust(together, adjustments, mask)
    backwards = logits.flip(0)
    backend.adjust(backwards, adjustments[::-1], mask.flip(0))
    assert torch.equal(together, backwards.flip(0))
    for i in range(5):
        assert torch.equal(together[i], adjusted(backend, logits[i : i + 1], adjustments[i], mask[i : i + 1])[0])


@EACH_BACKEND
def test_a_grammar_at_its_end_may_end_before_min_tokens(backend: Ops) -> None:
    logits = logits_of(1, 40)
    allowed = torch.zeros(1, 40, dtype=torch.bool)
    allowed[0, 33] = True
    changed = adjusted(backend, logits, LogitsAdjustment(forbidden_ids=ids(2, 33)), mask_of(allowed))
    assert torch.equal(changed, logits.masked_fill(~allowed, -INFINITY))
    allowed[0, 34] = True
    changed = adjusted(backend, logits, LogitsAdjustment(forbidden_ids=ids(2, 33)), mask_of(allowed))
    assert changed.isfinite().nonzero().tolist() == [[0, 34]]


DRAWS = [
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=1.0),
    SamplingParams(temperature=0.7, top_k=3),
    SamplingParams(temperature=0.7, top_p=0.5),
    SamplingParams(temperature=0.7, min_p=0.5),
    SamplingParams(temperature=0.7, top_k=3, top_p=0.5, min_p=0.5),
]


@EACH_BACKEND
@pytest.mark.parametrize("draw", DRAWS, ids=str)
def test_a_row_with_nothing_left_gives_token_0_and_leaves_the_others_alone(backend: Ops, draw: SamplingParams) -> None:
    logits = logits_of(3, 40)
    alone = backend.sample(logits[1:2].clone(), [draw], [5])
    mask = torch.tensor([[0, 0], [-1, -1], [0, 0]], dtype=torch.int32)
    backend.adjust(logits, [None, None, LogitsAdjustment(forbidden_ids=ids(4))], mask)
    assert not logits.isnan().any()
    assert backend.sample(logits, [draw] * 3, [4, 5, 6]) == [0, *alone, 0]


@st.composite
def adjustments(draw: st.DrawFn, vocab_size: int) -> LogitsAdjustment | None:
    if draw(st.booleans()):
        return None
    some = st.lists(st.integers(0, vocab_size - 1), unique=True, max_size=min(vocab_size, 8))
    seen, output, biased, forbidden = (draw(some) for _ in range(4))
    number = st.floats(-2, 2, width=32)
    return LogitsAdjustment(
        repetition=draw(st.floats(0.1, 3)),
        seen_ids=ids(*seen),
        frequency=draw(number),
        presence=draw(number),
        output_ids=ids(*output),
        output_counts=values(*(draw(st.integers(1, 9)) for _ in output)),
        bias_ids=ids(*biased),
        bias_values=values(*(draw(number) for _ in biased)),
        forbidden_ids=ids(*forbidden),
    )


@EACH_BACKEND
@given(data=st.data(), num_rows=st.integers(0, 4), vocab_size=st.integers(1, 100))
def test_any_shape_gives_what_the_reference_gives(backend: Ops, data: Any, num_rows: int, vocab_size: int) -> None:
    logits = logits_of(num_rows, vocab_size)
    rows = [data.draw(adjustments(vocab_size)) for _ in range(num_rows)]
    words = st.integers(-(2**31), 2**31 - 1) | st.just(-1) | st.just(0)
    num_words = math.ceil(vocab_size / 32)
    mask = None
    if data.draw(st.booleans()):
        columns = [[data.draw(words) for _ in range(num_words)] for _ in range(num_rows)]
        mask = torch.tensor(columns, dtype=torch.int32).reshape(num_rows, num_words)
    expected, changed = logits.clone(), logits.clone()
    REFERENCE.adjust(expected, rows, mask)
    backend.adjust(changed, rows, mask)
    assert torch.equal(changed, expected)
    assert not changed.isnan().any()


@EACH_BACKEND
@pytest.mark.parametrize("strange", [[50], [-1], [49, 50, 51, 10**6], [2**31 - 1], [-(2**31)], [2**40]])
def test_ids_outside_the_vocabulary_touch_no_row(backend: Ops, strange: list[int]) -> None:
    """A vocabulary of 50, and rows that lie one behind the other: id 50 of the first is id 0 of the second."""
    logits = logits_of(3, 50)
    known, numbers = [3, 49], ids(*strange)
    within = LogitsAdjustment(
        repetition=1.5, seen_ids=ids(*known), frequency=0.5, presence=0.25, output_ids=ids(7), output_counts=values(2),
        bias_ids=ids(8), bias_values=values(4), forbidden_ids=ids(9),
    )  # fmt: skip
    beyond = LogitsAdjustment(
        repetition=1.5, seen_ids=np.append(ids(3), np.append(numbers[numbers != 49], 49)), frequency=0.5, presence=0.25,
        output_ids=np.append(numbers[numbers != 49], 7),
        output_counts=np.append(values(*[3.0] * (numbers != 49).sum()), values(2)),
        bias_ids=np.append(8, numbers[numbers != 49]), bias_values=values(4, *[9.0] * (numbers != 49).sum()),
        forbidden_ids=np.append(numbers[numbers != 49], 9),
    )  # fmt: skip
    expected, found = logits.clone(), logits.clone()
    backend.adjust(expected, [None, within, None], None)
    backend.adjust(found, [None, beyond, None], None)
    assert torch.equal(found, expected)
    assert torch.equal(found[[0, 2]], logits[[0, 2]])
