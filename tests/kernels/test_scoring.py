"""Log probabilities against torch's log_softmax; ties, empty questions, and any batch.

Compared with its float64. Its float32 proves nothing more and depends on the machine: it sums V terms in as many lanes
as the processor has, 8 with AVX2 and 16 with AVX-512, so that its own error grows with V / lanes (2e-5 of 150,001
terms with AVX2), while what is tested is exact to 1e-5.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.backends import EACH_BACKEND, REFERENCE, logits_of
from xylem.kernels.interface import Ops

ERROR = 1e-5


@EACH_BACKEND
@pytest.mark.parametrize("scale", [0.0, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("vocab_size", [1, 50, 64, 5000, 150_001])
def test_log_probabilities_are_those_of_log_softmax(backend: Ops, vocab_size: int, scale: float) -> None:
    logits = logits_of(3, vocab_size, scale=scale)
    tokens, asked = [0, vocab_size // 2, vocab_size - 1], [[], [0], [vocab_size - 1, 0, 0]]
    expected = logits.double().log_softmax(-1)
    for i, scored in enumerate(backend.score(logits, tokens, [0, 5, 20], asked)):
        assert scored.logprob == pytest.approx(expected[i, tokens[i]].item(), rel=1e-6, abs=ERROR)
        assert scored.asked_logprobs == pytest.approx(expected[i, asked[i]].tolist(), rel=1e-6, abs=ERROR)
        assert scored.top_logprobs == pytest.approx(expected[i, scored.top_ids].tolist(), rel=1e-6, abs=ERROR)


@EACH_BACKEND
@pytest.mark.parametrize("scale", [0.0, 0.5, 4.0])
@pytest.mark.parametrize(
    ("vocab_size", "num_top"), [(1, 1), (10, 20), (64, 64), (5000, 20), (5000, 300), (150_001, 20)]
)
def test_the_likeliest_come_first_and_equals_by_the_lower_id(
    backend: Ops, vocab_size: int, num_top: int, scale: float
) -> None:
    logits = logits_of(2, vocab_size, scale=scale).round()  # nearly all of them equal some others
    for row, scored in zip(logits.tolist(), backend.score(logits, [0, 0], [num_top] * 2, [[], []]), strict=True):
        assert scored.top_ids == sorted(range(vocab_size), key=lambda token: (-row[token], token))[:num_top]
        assert scored.top_logprobs == sorted(scored.top_logprobs, reverse=True)
        assert len(scored.top_logprobs) == len(scored.top_ids)


@EACH_BACKEND
def test_the_likeliest_is_what_a_greedy_draw_takes(backend: Ops) -> None:
    """Also where two different logits have the same log probability after rounding."""
    logits = torch.full((1, 3), -1e4)
    logits[0, 1], logits[0, 2] = 16.0, torch.tensor(16.0).nextafter(torch.tensor(17.0))
    [scored] = backend.score(logits, [2], [2], [[]])
    assert scored.top_ids == [2, 1]


@EACH_BACKEND
def test_what_is_impossible_has_minus_infinity(backend: Ops) -> None:
    logits = logits_of(1, 30)
    logits[0, 4] = -float("inf")
    [scored] = backend.score(logits, [4], [30], [[4, 5]])
    assert scored.logprob == scored.asked_logprobs[0] == scored.top_logprobs[-1] == -float("inf")
    assert scored.top_ids[-1] == 4
    assert torch.tensor(scored.top_logprobs).double().exp().sum().item() == pytest.approx(1)


@EACH_BACKEND
def test_a_row_does_not_depend_on_the_batch_and_stays_as_it_is(backend: Ops) -> None:
    logits = logits_of(4, 3000)
    before = logits.clone()
    tokens, num_top, asked = [1, 2, 3, 4], [0, 1, 20, 5], [[7], [], [8, 9], [0]]
    together = backend.score(logits, tokens, num_top, asked)
    backwards = backend.score(logits.flip(0), tokens[::-1], num_top[::-1], asked[::-1])[::-1]
    alone = [
        backend.score(logits[i : i + 1], tokens[i : i + 1], num_top[i : i + 1], asked[i : i + 1])[0] for i in range(4)
    ]
    assert together == backwards == alone
    assert torch.equal(logits, before)


@EACH_BACKEND
@given(num_rows=st.integers(0, 3), vocab_size=st.integers(1, 200), num_top=st.integers(0, 30), seed=st.integers(0, 99))
def test_any_shape_gives_what_the_reference_gives(
    backend: Ops, num_rows: int, vocab_size: int, num_top: int, seed: int
) -> None:
    logits = logits_of(num_rows, vocab_size, seed=seed)
    question = ([seed % vocab_size] * num_rows, [num_top] * num_rows, [[0]] * num_rows)
    for given_row, expected in zip(backend.score(logits, *question), REFERENCE.score(logits, *question), strict=True):
        assert given_row.top_ids == expected.top_ids
        assert given_row.logprob == pytest.approx(expected.logprob, rel=1e-6, abs=1e-5)
        assert given_row.top_logprobs == pytest.approx(expected.top_logprobs, rel=1e-6, abs=1e-5)
        assert given_row.asked_logprobs == pytest.approx(expected.asked_logprobs, rel=1e-6, abs=1e-5)


@EACH_BACKEND
@pytest.mark.parametrize("strange", [30, 31, -1, 2**31, -(2**40)])
def test_tokens_outside_the_vocabulary_have_minus_infinity(backend: Ops, strange: int) -> None:
    logits = logits_of(2, 30)
    beyond = backend.score(logits, [strange, 4], [3, 0], [[1, strange, 2], []])
    within = backend.score(logits, [0, 4], [3, 0], [[1, 0, 2], []])
    assert beyond[1] == within[1]
    assert (beyond[0].logprob, beyond[0].asked_logprobs[1]) == (-float("inf"), -float("inf"))
    assert beyond[0].asked_logprobs[::2] == within[0].asked_logprobs[::2]
    assert (beyond[0].top_ids, beyond[0].top_logprobs) == (within[0].top_ids, within[0].top_logprobs)
