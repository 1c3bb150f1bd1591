"""Penalties, biases, masks and forbidden tokens: one program per row, one upload for the whole batch."""

from collections.abc import Sequence

import numpy as np
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.logits_adjustment import LogitsAdjustment
from xylem.kernels.triton.upload import upload

BLOCK = 1024  # entries of a column, or logits, that a program takes at once
NUM_WARPS = 8
NUM_COLUMNS = 4  # of ids: seen, output, bias, forbidden
# A program holds all forbidden tokens of a row at once; fewer kinds of programs than numbers of tokens are compiled.
LEAST_FORBIDDEN = 64
NOTHING = LogitsAdjustment()


@triton.jit
def _floats(words: tl.tensor, mask: tl.tensor) -> tl.tensor:
    return tl.load(words, mask=mask, other=0).to(tl.float32, bitcast=True)


@triton.jit(do_not_specialize=["num_words"])
def _adjust(
    logits: tl.tensor,
    bounds: tl.tensor,
    factors: tl.tensor,
    ids: tl.tensor,
    values: tl.tensor,
    mask: tl.tensor,
    vocab_size: tl.tensor,
    num_words: tl.tensor,
    masked: tl.constexpr,
    forbidden_block: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One row of logits [B, vocab_size] float32 per program; what is done, and when: see logits_adjustment.py.

    ids: of all rows and columns end to end, int32; values: a float32 as int32 for each, where the column has one.
    bounds: [B, 5] int32, where the ids of a row begin and those of each of its columns (seen, output, bias, forbidden)
    end. factors: [B, 3] float32 as int32, repetition, frequency, presence. mask: [B, num_words] int32, a bit for each
    token. A token may be in several columns: the next one waits until all threads have written theirs.
    """
    at = tl.program_id(0).to(tl.int64)
    row = logits + at * vocab_size
    begin, seen, output = tl.load(bounds + at * 5), tl.load(bounds + at * 5 + 1), tl.load(bounds + at * 5 + 2)
    bias, forbidden = tl.load(bounds + at * 5 + 3), tl.load(bounds + at * 5 + 4)
    repetition = tl.load(factors + at * 3).to(tl.float32, bitcast=True)
    frequency = tl.load(factors + at * 3 + 1).to(tl.float32, bitcast=True)
    presence = tl.load(factors + at * 3 + 2).to(tl.float32, bitcast=True)
    entries = tl.arange(0, block)
    for start in range(begin, seen, block):
        here = start + entries < seen
        place = row + tl.load(ids + start + entries, mask=here, other=0)
        logit = tl.load(place, mask=here, other=0.0)
        tl.store(place, tl.where(logit > 0.0, tl.fdiv(logit, repetition, ieee_rounding=True), logit * repetition), here)
    tl.debug_barrier()
    for start in range(seen, output, block):
        here = start + entries < output
        place = row + tl.load(ids + start + entries, mask=here, other=0)
        fall = _floats(values + start + entries, here) * frequency + presence
        tl.store(place, tl.load(place, mask=here, other=0.0) - fall, here)
    tl.debug_barrier()
    for start in range(output, bias, block):
        here = start + entries < bias
        place = row + tl.load(ids + start + entries, mask=here, other=0)
        tl.store(place, tl.load(place, mask=here, other=0.0) + _floats(values + start + entries, here), here)
    tl.debug_barrier()
    if masked:
        for start in range(0, vocab_size, block):
            tokens = start + entries
            inside = tokens < vocab_size
            word = tl.load(mask + at * num_words + tokens // 32, mask=inside, other=-1)
            tl.store(row + tokens, -float("inf"), inside & (((word >> (tokens % 32)) & 1) == 0))
        tl.debug_barrier()
    if forbidden > bias:
        few = bias + tl.arange(0, forbidden_block)
        place = row + tl.load(ids + few, mask=few < forbidden, other=0)
        before = tl.load(place, mask=few < forbidden, other=0.0)
        tl.debug_barrier()
        tl.store(place, -float("inf"), few < forbidden)
        tl.debug_barrier()
        left = tl.full([block], -float("inf"), tl.float32)
        for start in range(0, vocab_size, block):
            tokens = start + entries
            left = tl.maximum(left, tl.load(row + tokens, mask=tokens < vocab_size, other=-float("inf")))
        if tl.max(left, axis=0) == -float("inf"):  # a grammar at its end, which goes first
            tl.debug_barrier()
            tl.store(place, before, few < forbidden)


def adjust(logits: Tensor, adjustments: Sequence[LogitsAdjustment | None], mask: Tensor | None) -> None:
    """Shapes and order: see interface.py. The host does not wait."""
    assert logits.is_contiguous()
    if len(logits) == 0 or (mask is None and all(adjustment is None for adjustment in adjustments)):
        return
    rows = [(adjustment or NOTHING).within(logits.shape[1]) for adjustment in adjustments]
    bounds, factors, ids, values = upload(_pack(rows), logits.device)
    words = bounds if mask is None else mask.to(logits.device, non_blocking=True)
    most_forbidden = max((len(row.forbidden_ids) for row in rows), default=0)
    _adjust[(len(rows),)](
        logits, bounds, factors, ids, values, words, logits.shape[1], words.shape[1],
        masked=mask is not None, forbidden_block=max(triton.next_power_of_2(most_forbidden), LEAST_FORBIDDEN),
        block=BLOCK, num_warps=NUM_WARPS,
        enable_fp_fusion=False,  # so that penalties are the reference's, bit by bit
    )  # fmt: skip


def _pack(rows: list[LogitsAdjustment]) -> list[np.ndarray]:
    """bounds, factors, ids and values of the kernel."""
    ids: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for row in rows:
        ids += [row.seen_ids, row.output_ids, row.bias_ids, row.forbidden_ids]
        values += [_zeros(row.seen_ids), row.output_counts, row.bias_values, _zeros(row.forbidden_ids)]
    ends = np.cumsum([0, *(len(column) for column in ids)], dtype=np.int32)
    bounds = ends[np.arange(len(rows))[:, None] * NUM_COLUMNS + np.arange(NUM_COLUMNS + 1)]
    factors = np.array([(row.repetition, row.frequency, row.presence) for row in rows], dtype=np.float32)
    return [bounds, factors.view(np.int32), np.concatenate(ids).astype(np.int32), np.concatenate(values).view(np.int32)]


def _zeros(ids: np.ndarray) -> np.ndarray:
    return np.zeros(len(ids), dtype=np.float32)
