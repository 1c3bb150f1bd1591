"""Drawing tokens without sorting: one program per row, so that a row's token depends on nothing but the row."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.reference.sampling import COLDEST
from xylem.kernels.sampling_batch import Draw, SamplingBatch
from xylem.kernels.triton.threshold import floor_below

BLOCK = 4096  # logits that a program takes at once
# The search compares each weight with several thresholds: a block of fewer weights keeps all of its sums in registers.
SEARCH_BLOCK = 1024
ARITY = 8
NUM_WARPS = 16

NO_FLOOR = tl.constexpr(-1)
UNIT = tl.constexpr(2.0**-53)


@triton.jit
def uniform(seed: tl.tensor, position: tl.tensor) -> tl.tensor:
    """The float64 in (0, 1] of xylem.kernels.reference.philox: seed the key, position the counter, 53 random bits."""
    low, high = position.to(tl.uint32), (position >> 32).to(tl.uint32)
    zero = tl.zeros_like(low)
    first, second, _, _ = tl.philox(seed, low, high, zero, zero)
    return ((first >> 5).to(tl.float64) * 67108864.0 + (second >> 6).to(tl.float64) + 1.0) * UNIT


@triton.jit
def _highest(row: tl.tensor, vocab_size: tl.tensor, block: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """The highest of a row of logits and the first place that has it; of NaNs, which count as highest, the first."""
    best = tl.full([block], -float("inf"), tl.float32)
    places = tl.arange(0, block)
    for start in range(0, vocab_size, block):
        columns = start + tl.arange(0, block)
        logit = tl.load(row + columns, mask=columns < vocab_size, other=-float("inf"))
        better = (logit > best) | ((logit != logit) & (best == best))
        places = tl.where(better, columns, places)
        best = tl.where(better, logit, best)
    odd = best != best
    any_odd = tl.max(odd.to(tl.int32), axis=0) > 0
    highest = tl.max(tl.where(odd, float("inf"), best), axis=0)
    candidates = odd | ((best == highest) & ~any_odd)
    return highest, tl.min(tl.where(candidates, places, vocab_size), axis=0)


@triton.jit
def _weigh(
    row: tl.tensor,
    weights: tl.tensor,
    vocab_size: tl.tensor,
    highest: tl.tensor,
    temperature: tl.tensor,
    block: tl.constexpr,
) -> None:
    """weights = exp((logit - highest) / temperature), float32: probabilities over that of the likeliest token."""
    for start in range(0, vocab_size, block):
        columns = start + tl.arange(0, block)
        logit = tl.load(row + columns, mask=columns < vocab_size, other=-float("inf"))
        tl.store(weights + columns, tl.exp((logit - highest) / temperature), mask=columns < vocab_size)
    tl.debug_barrier()  # what some threads wrote others read


@triton.jit
def _kept(weights: tl.tensor, columns: tl.tensor, vocab_size: tl.tensor, floor: tl.tensor) -> tl.tensor:
    """The weights of some tokens in float64, 0 unless they are above the floor."""
    weight = tl.load(weights + columns, mask=columns < vocab_size, other=0.0)
    return tl.where(weight.to(tl.int32, bitcast=True) > floor, weight, 0.0).to(tl.float64)


@triton.jit
def _add_up(
    weights: tl.tensor, sums: tl.tensor, vocab_size: tl.tensor, floor: tl.tensor, block: tl.constexpr
) -> tl.tensor:
    """The sum of the weights above the floor; sums: those of each block, float64."""
    total = tl.zeros([], tl.float64)
    for index in range(tl.cdiv(vocab_size, block)):
        of_block = tl.sum(_kept(weights, index * block + tl.arange(0, block), vocab_size, floor), axis=0)
        tl.store(sums + index, of_block)
        total += of_block
    tl.debug_barrier()
    return total


@triton.jit
def _pick(
    weights: tl.tensor,
    sums: tl.tensor,
    vocab_size: tl.tensor,
    floor: tl.tensor,
    number: tl.tensor,
    block: tl.constexpr,
    num_sums: tl.constexpr,
) -> tl.tensor:
    """The first token above the floor whose running sum reaches the number's share of the whole: its block, then it.

    A block is summed in another order than its running sums, which may end a little short: then it is the last token.
    """
    index = tl.arange(0, num_sums)
    num_blocks = tl.cdiv(vocab_size, block)
    running = tl.cumsum(tl.load(sums + index, mask=index < num_blocks, other=0.0), axis=0)
    share = number * tl.max(running, axis=0)
    chosen = tl.min(tl.where(running >= share, index, num_blocks - 1), axis=0)
    before = tl.max(tl.where(index < chosen, running, 0.0), axis=0)
    columns = chosen * block + tl.arange(0, block)
    weight = _kept(weights, columns, vocab_size, floor)
    reached = (weight > 0.0) & (before + tl.cumsum(weight, axis=0) >= share)
    last = tl.max(tl.where(weight > 0.0, columns, 0), axis=0)
    return tl.min(tl.where(reached, columns, last), axis=0)


@triton.jit
def _sample(
    logits: tl.tensor,
    weights: tl.tensor,
    sums: tl.tensor,
    temperatures: tl.tensor,
    top_ps: tl.tensor,
    top_ks: tl.tensor,
    min_ps: tl.tensor,
    seeds: tl.tensor,
    positions: tl.tensor,
    tokens: tl.tensor,
    vocab_size: tl.tensor,
    coldest: tl.constexpr,
    block: tl.constexpr,
    num_sums: tl.constexpr,
    search_block: tl.constexpr,
    arity: tl.constexpr,
) -> None:
    """One row of logits [B, vocab_size] float32 per program, tokens: [B] int64.

    What top_k, top_p and min_p keep, each of what the one before has left, is what lies above a floor. The token is
    the inverse of the cumulative distribution over it, in the order of ids, at a number of seed and position alone:
    reference/sampling.py, with sums in float64 as there. weights: [B, vocab_size] float32 and sums: [B, num_sums]
    float64 are room to work in. Parameters: see SamplingBatch.
    """
    at = tl.program_id(0).to(tl.int64)
    row, weights, sums = logits + at * vocab_size, weights + at * vocab_size, sums + at * num_sums
    highest, token = _highest(row, vocab_size, block)
    temperature = tl.load(temperatures + at)
    if (temperature > 0.0) & (highest > -float("inf")) & (highest < float("inf")):
        _weigh(row, weights, vocab_size, highest, tl.maximum(temperature, coldest).to(tl.float32), block)
        floor = tl.full([], NO_FLOOR, tl.int32)
        top_k = tl.load(top_ks + at)
        if (top_k > 0) & (top_k < vocab_size):
            floor = floor_below(weights, vocab_size, floor, top_k.to(tl.float64), False, search_block, arity)
        top_p = tl.load(top_ps + at)
        if top_p < 1.0:
            wanted = top_p * _add_up(weights, sums, vocab_size, floor, block)
            floor = floor_below(weights, vocab_size, floor, wanted, True, search_block, arity)
        min_p = tl.minimum(tl.load(min_ps + at), 1.0).to(tl.float32)
        floor = tl.maximum(floor, min_p.to(tl.int32, bitcast=True) - 1)
        _add_up(weights, sums, vocab_size, floor, block)
        number = uniform(tl.load(seeds + at), tl.load(positions + at))
        token = _pick(weights, sums, vocab_size, floor, number, block, num_sums)
    tl.store(tokens + at, token.to(tl.int64))


def sample_on_device(logits: Tensor, columns: SamplingBatch, positions: Tensor) -> Tensor:
    """Shapes: see interface.py."""
    assert all(tensor.is_contiguous() for tensor in (logits, *columns.tensors, positions))
    num_rows, vocab_size = logits.shape
    num_sums = triton.next_power_of_2(triton.cdiv(vocab_size, BLOCK))
    tokens = torch.empty_like(positions)
    _sample[(num_rows,)](
        logits, torch.empty_like(logits), logits.new_empty(num_rows, num_sums, dtype=torch.float64),
        *columns.tensors, positions, tokens, vocab_size,
        coldest=COLDEST, block=BLOCK, num_sums=num_sums, search_block=SEARCH_BLOCK, arity=ARITY, num_warps=NUM_WARPS,
    )  # fmt: skip
    return tokens


def sample(logits: Tensor, draws: Sequence[Draw], positions: Sequence[int]) -> list[int]:
    """Shapes: see interface.py. The host waits for the tokens, and for nothing else."""
    there = torch.tensor(positions, dtype=torch.int64, pin_memory=logits.is_cuda).to(logits.device, non_blocking=True)
    columns = SamplingBatch.build(draws, logits.device)
    drawn: list[int] = sample_on_device(logits.contiguous(), columns, there).tolist()
    return drawn
