"""What is drawn against what should be: 20,000 draws for each way of shaping the distribution.

The expected distributions are written out here in float64, from the definitions. Seeds and positions are fixed, so that
every run of a test draws the same tokens; a threshold of p = 1e-4 says how good a fit that is. That the backends draw
the same tokens as each other is told elsewhere (test_cpu_sampling); here the one that serves draws.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from tests.kernels.backends import CPU
from tests.kernels.test_adjusting import ids, mask_of, values
from xylem.kernels.interface import LogitsAdjustment
from xylem.kernels.registry import load as load_backend
from xylem.shared.protocol import SamplingParams

NUM_DRAWS = 20_000
VOCAB_SIZE = 48
NORMAL_QUANTILE = 3.719  # of 1 - 1e-4
BACKEND = load_backend("auto", CPU)


@dataclass(frozen=True)
class Case:
    """How logits are shaped. forbidden: ids that a mask or min_tokens leaves out."""

    draw: SamplingParams
    adjustment: LogitsAdjustment = field(default_factory=LogitsAdjustment)
    masked: tuple[int, ...] = ()


SEEN: dict[str, Any] = {"repetition": 1.5, "seen_ids": ids(0, 3, 17, 30, 44)}
COUNTED: dict[str, Any] = {"output_ids": ids(3, 17, 44), "output_counts": values(1, 4, 2)}
BIASED: dict[str, Any] = {"bias_ids": ids(5, 6, 47), "bias_values": values(2.0, -100.0, 3.5)}
ODD = tuple(range(1, VOCAB_SIZE, 2))
CASES = {
    "plain": Case(SamplingParams()),
    "colder": Case(SamplingParams(temperature=0.6)),
    "hotter": Case(SamplingParams(temperature=1.8)),
    "top_k": Case(SamplingParams(top_k=7)),
    "top_p": Case(SamplingParams(top_p=0.75)),
    "min_p": Case(SamplingParams(min_p=0.08)),
    "top_k, top_p": Case(SamplingParams(top_k=12, top_p=0.8)),
    "top_k, top_p, min_p, hotter": Case(SamplingParams(temperature=1.4, top_k=20, top_p=0.95, min_p=0.1)),
    "repetition": Case(SamplingParams(), LogitsAdjustment(**SEEN)),
    "frequency": Case(SamplingParams(), LogitsAdjustment(frequency=0.6, **COUNTED)),
    "presence": Case(SamplingParams(), LogitsAdjustment(presence=1.1, **COUNTED)),
    "presence rewarded": Case(SamplingParams(), LogitsAdjustment(presence=-1.1, **COUNTED)),
    "bias": Case(SamplingParams(), LogitsAdjustment(**BIASED)),
    "mask": Case(SamplingParams(), masked=ODD),
    "min_tokens": Case(SamplingParams(), LogitsAdjustment(forbidden_ids=ids(2, 9))),
    "all penalties": Case(SamplingParams(), LogitsAdjustment(frequency=0.3, presence=0.5, **SEEN, **COUNTED, **BIASED)),
    "mask, top_p": Case(SamplingParams(top_p=0.8), masked=ODD),
    "everything": Case(
        SamplingParams(temperature=1.2, top_k=15, top_p=0.97, min_p=0.01),
        LogitsAdjustment(frequency=0.3, presence=0.5, forbidden_ids=ids(2, 8), **SEEN, **COUNTED, **BIASED),
        masked=(0, 10, 11, 30),
    ),
}


def logits() -> torch.Tensor:
    """[VOCAB_SIZE], no two equal."""
    return torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(11)) * 1.5


def expected_distribution(case: Case) -> np.ndarray:
    """[VOCAB_SIZE] float64, from the definitions, token by token."""
    shaped = logits().double().numpy()
    change = case.adjustment
    for token in change.seen_ids:
        shaped[token] = shaped[token] / change.repetition if shaped[token] > 0 else shaped[token] * change.repetition
    for token, count in zip(change.output_ids, change.output_counts, strict=True):
        shaped[token] -= count * change.frequency + change.presence
    for token, bias in zip(change.bias_ids, change.bias_values, strict=True):
        shaped[token] += bias
    shaped[[*change.forbidden_ids, *case.masked]] = -np.inf
    shares = np.exp(shaped / case.draw.temperature)
    shares /= shares.sum()
    order = np.argsort(-shares)
    if case.draw.top_k:
        shares[order[case.draw.top_k :]] = 0
        shares /= shares.sum()
    num_kept = int(np.searchsorted(np.cumsum(shares[order]), case.draw.top_p)) + 1
    shares[order[num_kept:]] = 0
    shares[shares < case.draw.min_p * shares.max()] = 0
    return np.asarray(shares / shares.sum())


def drawn_counts(case: Case) -> np.ndarray:
    """How often each token comes in NUM_DRAWS draws from logits that were adjusted once: each row is its own draw."""
    row = logits()[None]
    allowed = torch.ones(1, VOCAB_SIZE, dtype=torch.bool)
    allowed[0, list(case.masked)] = False
    BACKEND.adjust(row, [case.adjustment], mask_of(allowed))
    tokens = BACKEND.sample(row.expand(NUM_DRAWS, -1), [case.draw] * NUM_DRAWS, range(NUM_DRAWS))
    return np.bincount(tokens, minlength=VOCAB_SIZE)


def misfit(counts: np.ndarray, expected: np.ndarray) -> float:
    """The chi-square statistic over its value at p = 1e-4; tokens with fewer than five expected draws stand together.

    Wilson and Hilferty 1931: the cube root of chi-square over its degrees of freedom is nearly normal.
    """
    wanted = expected * NUM_DRAWS
    rare = wanted < 5
    pooled = np.append(wanted[~rare], wanted[rare].sum())
    seen = np.append(counts[~rare], counts[rare].sum())
    full = pooled >= 5
    statistic = float(((seen - pooled)[full] ** 2 / pooled[full]).sum())
    freedom = int(full.sum()) - 1
    spread = 2 / (9 * freedom)
    return float(statistic) / float(freedom * (1 - spread + NORMAL_QUANTILE * spread**0.5) ** 3)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_tokens_are_drawn_as_often_as_they_should_be(case: Case) -> None:
    expected, counts = expected_distribution(case), drawn_counts(case)
    assert counts[expected == 0].sum() == 0, "a token that should be cut off was drawn"
    assert misfit(counts, expected) < 1


@pytest.mark.parametrize("name", [name for name in CASES if name != "plain"])
def test_the_test_tells_every_case_from_plain_draws(name: str) -> None:
    """Were a setting ignored, its test would fail."""
    expected = expected_distribution(CASES[name])
    counts = np.random.default_rng(5).multinomial(NUM_DRAWS, expected_distribution(CASES["plain"]))
    assert counts[expected == 0].sum() > 0 or misfit(counts, expected) > 1


def test_the_critical_value_is_that_of_the_tables() -> None:
    """Chi-square of 10 degrees of freedom: 35.56 at p = 1e-4. The approximation is within 2% of it."""
    expected = np.full(11, 1 / 11)
    each = NUM_DRAWS / 11
    off = (35.56 * each / 2) ** 0.5  # two tokens that share the whole misfit
    counts = np.full(11, each) + np.array([off, -off] + [0.0] * 9)
    assert misfit(counts, expected) == pytest.approx(1, abs=0.02)
