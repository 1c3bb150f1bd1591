"""Tokens are the reference's; temperatures at which most weights are within a rounding of each other are left out."""

import random as chance

import pytest
import torch
import triton
import triton.language as tl

from tests.kernels.backends import logits_of
from tests.kernels.test_cpu_sampling import some_logits
from tests.kernels.triton.device.machine import DEVICE, ON_GPU, REFERENCE, TRITON
from xylem.kernels.interface import SamplingBatch
from xylem.kernels.reference.philox import uniform as reference_uniform
from xylem.kernels.triton.sampling import uniform
from xylem.shared.protocol import SamplingParams


def some_draw(choose: chance.Random, vocab_size: int) -> SamplingParams:
    return SamplingParams(
        temperature=choose.choice([0.0, 1e-8, 0.3, 0.7, 1.0, 1.5]),
        top_k=choose.choice([0, 0, 1, 2, 40, 1000, vocab_size, vocab_size + 1]),
        top_p=choose.choice([1.0, 1.0, 1e-9, 0.5, 0.9, 0.999]),
        min_p=choose.choice([0.0, 0.0, 1e-5, 0.05, 1.0]),
        seed=choose.getrandbits(63),
    )


@pytest.mark.parametrize("vocab_size", [1, 5, 1000, 9000])
def test_tokens_are_those_of_the_reference(vocab_size: int) -> None:
    """Except, on a GPU, for a few whose number falls within a rounding of an edge: exp rounds otherwise there."""
    choose = chance.Random(vocab_size)
    different = total = 0
    for _ in range(40 if ON_GPU else 3):
        logits = some_logits(choose, 8, vocab_size).to(DEVICE)
        draws = [some_draw(choose, vocab_size) for _ in range(8)]
        positions = [choose.randrange(1 << 40) for _ in range(8)]
        given = TRITON.sample(logits, draws, positions)
        expected = REFERENCE.sample(logits.cpu(), draws, positions)
        total += len(draws)
        for token, other, draw in zip(given, expected, draws, strict=True):
            different += token != other
            assert token == other or draw.temperature > 0
    assert different <= (total // 50 if ON_GPU else 0)


def test_a_draw_does_not_depend_on_the_batch_and_may_stay_on_the_device() -> None:
    choose = chance.Random(3)
    logits = logits_of(6, 1500).to(DEVICE)
    draws, positions = [some_draw(choose, 1500) for _ in range(6)], list(range(100, 106))
    together = TRITON.sample(logits, draws, positions)
    assert [TRITON.sample(logits[i : i + 1], [draws[i]], [positions[i]])[0] for i in range(6)] == together
    columns = SamplingBatch.build(draws, DEVICE)
    for each in (TRITON, REFERENCE):
        ids = each.sample_on_device(logits, columns, torch.tensor(positions, device=DEVICE))
        assert (ids.device.type, ids.dtype, ids.tolist()) == (DEVICE.type, torch.int64, together)


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_row_that_the_model_failed_on_leaves_the_others_alone(odd: float) -> None:
    logits = logits_of(6, 300).to(DEVICE)
    draws, positions = [SamplingParams(temperature=t, top_p=0.9) for t in (0.0, 1.0, 0.5)] * 2, list(range(6))
    good = TRITON.sample(logits, draws, positions)
    logits[3:, [17, 200]] = odd
    assert TRITON.sample(logits, draws, positions) == [*good[:3], 17, 17, 17]
    logits[3:] = -float("inf")
    assert TRITON.sample(logits, draws, positions) == [*good[:3], 0, 0, 0]


def test_equals_of_the_last_kept_token_are_kept_and_no_others() -> None:
    """With this seed five draws take each of them."""
    logits = torch.tensor([0.0, 2.0, 1.0, 1.0, 1.0, -1.0]).expand(5, -1).contiguous().to(DEVICE)
    for draw in (
        SamplingParams(temperature=1.0, top_k=2, seed=11),
        SamplingParams(temperature=1.0, top_p=0.5, seed=11),
    ):
        assert set(TRITON.sample(logits, [draw] * 5, list(range(5)))) == {1, 2, 3, 4}


@triton.jit
def _uniform(seeds: tl.tensor, positions: tl.tensor, numbers: tl.tensor) -> None:
    at = tl.program_id(0)
    tl.store(numbers + at, uniform(tl.load(seeds + at), tl.load(positions + at)))


def test_numbers_are_the_references_bit_by_bit() -> None:
    seeds = torch.tensor([0, 1, 1 + (1 << 40), (1 << 63) - 1, -5], device=DEVICE)
    positions = torch.tensor([0, 7, 1 << 33, 12345, (1 << 31) + 1], device=DEVICE)
    numbers = torch.empty(5, dtype=torch.float64, device=DEVICE)
    _uniform[(5,)](seeds, positions, numbers)
    assert torch.equal(numbers, reference_uniform(seeds, positions))
