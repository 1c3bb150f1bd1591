"""The CPU's quick draws are the reference's, token for token; what is too close to tell is left to the reference."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.backends import CPU, logits_of
from xylem.kernels.cpu import sampling
from xylem.kernels.cpu.peaks import FOLDS, Peaks
from xylem.kernels.cpu.uniform import uniform
from xylem.kernels.cpu.weights import PIECE, weights
from xylem.kernels.reference.philox import uniform as reference_uniform
from xylem.kernels.reference.sampling import sample as reference_sample
from xylem.kernels.registry import load
from xylem.shared.protocol import SamplingParams

pytestmark = pytest.mark.usefixtures("one_thread")

BACKEND = load("cpu", CPU)


def some_draw(choose: random.Random, vocab_size: int) -> SamplingParams:
    return SamplingParams(
        temperature=choose.choice([0.0, 1e-8, 1e-3, 0.3, 0.7, 1.0, 1.0, 1.5, 2.0, 50.0, 1e6]),
        top_k=choose.choice([0, 0, 0, 1, 2, 5, 40, 1000, vocab_size - 1, vocab_size, vocab_size + 1]),
        top_p=choose.choice([1.0, 1.0, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-9]),
        min_p=choose.choice([0.0, 0.0, 1e-40, 1e-5, 0.05, 0.5, 1.0]),
        seed=choose.getrandbits(63),
    )


def some_logits(choose: random.Random, num_rows: int, vocab_size: int) -> torch.Tensor:
    """Flat and steep ones, with equals, and with tokens that a grammar has taken away."""
    scale = choose.choice([0.0, 0.01, 0.5, 1.0, 2.5, 5.0, 20.0, 1000.0])
    logits = logits_of(num_rows, vocab_size, seed=choose.getrandbits(30), scale=scale)
    if choose.random() < 0.3:
        logits = logits.round()
    if choose.random() < 0.3:
        allowed = torch.rand(num_rows, vocab_size, generator=torch.Generator().manual_seed(choose.getrandbits(30)))
        logits[allowed < choose.choice([0.1, 0.5, 0.99])] = -float("inf")
    return logits


@pytest.mark.parametrize("vocab_size", [1, 2, 5, 63, 64, 65, 511, 513, 1000, 4096, 5000, 32_000, 150_001])
def test_tokens_are_those_of_the_reference(vocab_size: int) -> None:
    choose = random.Random(vocab_size)
    num_rows = 8
    for _ in range(60 if vocab_size < 10_000 else 6):
        logits = some_logits(choose, num_rows, vocab_size)
        draws = [some_draw(choose, vocab_size) for _ in range(num_rows)]
        positions = [choose.randrange(1 << 20) for _ in range(num_rows)]
        assert BACKEND.sample(logits, draws, positions) == reference_sample(logits, draws, positions)


def test_a_row_does_not_depend_on_the_batch() -> None:
    choose = random.Random(3)
    logits = logits_of(12, 5000)
    draws, positions = [some_draw(choose, 5000) for _ in range(12)], list(range(100, 112))
    together = BACKEND.sample(logits, draws, positions)
    order = list(range(12))
    for _ in range(3):
        choose.shuffle(order)
        mixed = BACKEND.sample(logits[order], [draws[i] for i in order], [positions[i] for i in order])
        assert mixed == [together[i] for i in order]
    assert together == [BACKEND.sample(logits[i : i + 1], [draws[i]], [positions[i]])[0] for i in range(12)]


def test_no_rows_give_no_tokens() -> None:
    assert BACKEND.sample(torch.empty(0, 100), [], []) == []


def test_rows_may_lie_in_any_order_in_memory() -> None:
    logits = logits_of(3, 300)
    draws = [SamplingParams(temperature=0.9), SamplingParams(temperature=0.0), SamplingParams(temperature=0.9, top_k=4)]
    assert BACKEND.sample(logits.T.contiguous().T, draws, [1, 2, 3]) == BACKEND.sample(logits, draws, [1, 2, 3])


@pytest.fixture
def left_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> list[SamplingParams]:
    """The draws that the reference is asked for."""
    asked: list[SamplingParams] = []

    def counted(logits: Any, draws: list[SamplingParams], positions: Any) -> list[int]:
        asked.extend(draws)
        return reference_sample(logits, draws, positions)

    monkeypatch.setattr(sampling.reference, "sample", counted)
    return asked


def test_a_nucleus_whose_edge_is_exact_is_left_to_the_reference(left_to_the_reference: list[SamplingParams]) -> None:
    """Two equals share one half each: whether the second belongs to it depends on the last bit of a sum."""
    logits = torch.zeros(1, 2)
    draw = SamplingParams(top_p=0.5, seed=1)
    tokens = {BACKEND.sample(logits, [draw], [position])[0] for position in range(20)}
    assert tokens == {0, 1}  # equals of the last kept token are kept
    assert left_to_the_reference == [draw] * 20


@pytest.mark.parametrize(("number", "token"), [(2.0**-53, 0), (0.25, 0), (0.5, 1), (1.0, 3)])
def test_a_number_at_the_edge_of_a_token_is_left_to_the_reference(
    monkeypatch: pytest.MonkeyPatch, left_to_the_reference: list[SamplingParams], number: float, token: int
) -> None:
    """Four equals: a quarter is still the first one's, but the next larger number would not be."""
    for module in (sampling, sampling.reference):
        monkeypatch.setattr(module, "uniform", lambda seeds, positions: torch.tensor([number]).double())
    draw = SamplingParams()
    assert BACKEND.sample(torch.zeros(1, 4), [draw], [0]) == [token]
    assert left_to_the_reference == [draw]


@pytest.mark.parametrize(
    "draw",
    [SamplingParams(), SamplingParams(top_p=0.9), SamplingParams(top_k=40, top_p=0.9), SamplingParams(min_p=0.1)],
)
def test_the_reference_is_hardly_ever_asked(left_to_the_reference: list[SamplingParams], draw: SamplingParams) -> None:
    logits = logits_of(50, 20_000)
    BACKEND.sample(logits, [draw] * 50, list(range(50)))
    assert left_to_the_reference == []


@pytest.mark.parametrize("temperature", [1.0, 0.7, 1e-6, 1e6])
def test_weights_of_some_are_those_of_all(temperature: float) -> None:
    """No element of exp may depend on where it lies: rows would depend on what else is looked at."""
    row = logits_of(1, 3 * PIECE + 5)[0].numpy()
    with np.errstate(over="ignore"):
        everything = weights(row, row.max(), temperature)
        choose = np.random.default_rng(1)
        for count in (1, 2, 7, 8, 15, 16, 17, 100, 4000):
            some = choose.choice(len(row), count, replace=False)
            assert np.array_equal(weights(row[some], row.max(), temperature), everything[some])
        into = np.empty_like(row)
        assert weights(row, row.max(), temperature, into) is into
        assert np.array_equal(into, everything)


words = st.sampled_from([0, 1, -1, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63)]) | st.integers(
    -(2**63), 2**63 - 1
)


@given(rows=st.lists(st.tuples(words, words), max_size=5))
def test_numbers_are_those_of_the_reference(rows: list[tuple[int, int]]) -> None:
    seeds, positions = [seed for seed, _ in rows], [position for _, position in rows]
    expected = reference_uniform(*(torch.tensor(column, dtype=torch.int64) for column in (seeds, positions)))
    assert uniform(seeds, positions).tolist() == expected.tolist()


sizes = st.integers(1, 5 * FOLDS * 3)


@given(size=sizes, seed=st.integers(0, 1000), decimals=st.integers(0, 3), count=st.integers(1, 400))
def test_peaks_find_what_reaches_a_bound(size: int, seed: int, decimals: int, count: int) -> None:
    row = np.random.default_rng(seed).normal(size=size).round(decimals).astype(np.float32)
    peaks = Peaks(row)
    assert peaks.highest == row.max()
    for bound in (-np.inf, -1.0, 0.0, 0.5, 2.0, float(row.max()), 100.0):
        assert peaks.at_least(bound).tolist() == [i for i, logit in enumerate(row) if logit >= bound]
    assert len(peaks.at_least(peaks.reached_by(count))) >= min(count, size)
