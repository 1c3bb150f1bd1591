import math

import numpy as np
import pytest
import torch

from tests.kernels.backends import logits_of
from tests.kernels.triton.device.machine import DEVICE, REFERENCE, TRITON
from xylem.kernels.interface import LogitsAdjustment


def some_adjustment(choose: np.random.Generator, vocab_size: int) -> LogitsAdjustment:
    def some() -> np.ndarray:
        return choose.permutation(vocab_size)[: choose.integers(0, 9)].astype(np.int64)

    output, biased = some(), some()
    return LogitsAdjustment(
        repetition=choose.uniform(0.1, 3),
        seen_ids=some(),
        frequency=choose.uniform(-2, 2),
        presence=choose.uniform(-2, 2),
        output_ids=output,
        output_counts=choose.integers(1, 9, len(output)).astype(np.float32),
        bias_ids=biased,
        bias_values=choose.uniform(-2, 2, len(biased)).astype(np.float32),
        forbidden_ids=some(),
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("vocab_size", [1, 31, 40, 3000])
def test_logits_are_the_references_bit_by_bit(vocab_size: int, *, masked: bool) -> None:
    choose = np.random.default_rng(vocab_size)
    for spare_words in (0, 2):
        logits = logits_of(4, vocab_size).to(DEVICE)
        adjustments = [None, *(some_adjustment(choose, vocab_size) for _ in range(3))]
        words = choose.integers(-(2**31), 2**31, (4, math.ceil(vocab_size / 32) + spare_words))
        words[2] = -1
        mask = torch.from_numpy(words.astype(np.int32)) if masked else None
        # On a CPU: torch divides by a number exactly there, and multiplies by its inverse on a GPU.
        expected, given = logits.cpu().clone(), logits.clone()
        REFERENCE.adjust(expected, adjustments, mask)
        TRITON.adjust(given, adjustments, mask)
        assert torch.equal(given.cpu().view(torch.int32), expected.view(torch.int32))


def test_a_grammar_at_its_end_goes_before_forbidden_tokens() -> None:
    logits = logits_of(2, 40).to(DEVICE)
    mask = torch.tensor([[0, 2], [0, 6]], dtype=torch.int32, device=DEVICE)  # token 33; tokens 33 and 34
    given = logits.clone()
    TRITON.adjust(given, [LogitsAdjustment(forbidden_ids=np.array([2, 33]))] * 2, mask)
    assert given.isfinite().nonzero().tolist() == [[0, 33], [1, 34]]
    assert given[0, 33] == logits[0, 33]


def test_more_tokens_than_a_program_takes_at_once() -> None:
    many = np.arange(0, 5000, 2)
    adjustment = LogitsAdjustment(repetition=2.0, seen_ids=many, forbidden_ids=many[:70])
    logits = logits_of(1, 5000).to(DEVICE)
    expected = logits.cpu().clone()
    REFERENCE.adjust(expected, [adjustment], None)
    TRITON.adjust(logits, [adjustment], None)
    assert torch.equal(logits.cpu(), expected)


def test_no_rows_and_nothing_to_do() -> None:
    TRITON.adjust(torch.empty(0, 40, device=DEVICE), [], None)
    logits = logits_of(2, 40).to(DEVICE)
    before = logits.clone()
    TRITON.adjust(logits, [None, None], None)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("vocab_size", [1, 40, 3000])
def test_scores_are_the_references(vocab_size: int) -> None:
    """Of rounded logits, of which many are equal: the lower id comes first."""
    logits = logits_of(3, vocab_size).round().to(DEVICE)
    logits[0, : vocab_size // 2] *= 0.0  # zeros of either sign are equal
    questions = ([0, vocab_size // 2, vocab_size - 1], [0, 20, 3], [[], [0], [vocab_size - 1, 0, 0]])
    for given, expected in zip(TRITON.score(logits, *questions), REFERENCE.score(logits, *questions), strict=True):
        assert given.top_ids == expected.top_ids
        assert given.logprob == pytest.approx(expected.logprob, abs=1e-6)
        assert given.top_logprobs == pytest.approx(expected.top_logprobs, abs=1e-6)
        assert given.asked_logprobs == pytest.approx(expected.asked_logprobs, abs=1e-6)
    assert TRITON.score(logits[:0], [], [], []) == []
