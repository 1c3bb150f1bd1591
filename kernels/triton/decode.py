"""Attention of one new token per row over its paged KV: the row's keys are split among programs, then merged.

Dao et al., "Flash-Decoding for long-context inference", 2023; online softmax: Milakov and Gimelshein, 2018; pages: Kwon
et al., "Efficient Memory Management for LLM Serving with PagedAttention", 2023; groups of heads: Ainslie et al., "GQA",
2023.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import DeviceBatch
from xylem.kernels.triton.capping import capped_by, scale_and_cap
from xylem.kernels.triton.dot import dot
from xylem.kernels.triton.merge import merge
from xylem.kernels.triton.paging import slots_of

# Programs to share the work among: an H200 runs 132 x 2 of them at once, and a few times as many even out their ends.
PROGRAMS = 1024
LEAST_KEYS = 128  # of a split: with fewer, merging costs more than it saves
MOST_SPLITS = 64


@dataclass(frozen=True, slots=True)
class DecodeLaunch:
    """Sizes of the kernel: keys of a block, splits of a row, warps of a program, stages of its pipeline."""

    key_block: int
    num_splits: int
    num_warps: int
    num_stages: int


def choose(num_rows: int, num_kv_heads: int, max_keys: int, head_bytes: int) -> DecodeLaunch:
    """By what is known before the lengths are, so that a captured graph fits any. head_bytes: of one key of one head.

    Stages go to the loads of pages, too, through which keys are found: five are two blocks of keys in flight, three
    would be one. A pair stays within a third of the shared memory, so that a multiprocessor runs more than one program.
    """
    wanted = triton.next_power_of_2(triton.cdiv(PROGRAMS, max(num_rows * num_kv_heads, 1)))
    possible = triton.next_power_of_2(triton.cdiv(max_keys, LEAST_KEYS))
    return DecodeLaunch(
        key_block=64 if head_bytes <= 256 else 32,
        num_splits=min(wanted, possible, MOST_SPLITS),
        num_warps=4 if head_bytes <= 512 else 8,
        num_stages=5 if head_bytes <= 512 else 2,
    )


@triton.jit(do_not_specialize=["max_pages", "window"])
def _decode(
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    firsts: tl.tensor,
    lengths: tl.tensor,
    pages: tl.tensor,
    partial: tl.tensor,
    log_sums: tl.tensor,
    scale: tl.tensor,
    cap: tl.tensor,
    window: tl.tensor,
    max_pages: tl.tensor,
    num_heads: tl.constexpr,
    num_kv_heads: tl.constexpr,
    head_dim: tl.constexpr,
    page_size: tl.constexpr,
    windowed: tl.constexpr,
    capped: tl.constexpr,
    num_splits: tl.constexpr,
    head_block: tl.constexpr,
    dim_block: tl.constexpr,
    key_block: tl.constexpr,
) -> None:
    """One split of the keys of one row and key-value head per program, for all query heads that share it.

    query: [T, num_heads, head_dim], of which a row's is at firsts; keys, values: [S, num_kv_heads, head_dim]; lengths:
    [B] int32; pages: [B, max_pages] int32. partial: [B, num_heads, num_splits, head_dim] float32, softmax(q K^T scale)
    V over the split; log_sums: [B, num_heads, num_splits] float32, log2 of the sum of exp(q K^T scale), minus infinity
    for a split without keys. scale comes multiplied by log2 e; with a cap see capped_by. The few heads of a group are
    padded to what the tensor cores multiply at once, so that each key is read once for all of them.
    """
    row, kv_head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    group: tl.constexpr = num_heads // num_kv_heads
    length = tl.load(lengths + row)
    oldest = 0
    if windowed:
        oldest = tl.maximum(length - window, 0)
    share = tl.cdiv(tl.cdiv(length - oldest, key_block), num_splits) * key_block
    start = oldest + split * share
    end = tl.minimum(start + share, length)

    in_group = tl.arange(0, head_block)
    heads = kv_head * group + in_group
    dims = tl.arange(0, dim_block)
    wanted = (in_group < group)[:, None] & (dims < head_dim)[None, :]
    token = tl.load(firsts + row).to(tl.int64)
    at_query = (token * num_heads + heads[:, None]) * head_dim + dims[None, :]
    q = tl.load(query + at_query, mask=wanted, other=0.0)

    highest = tl.full([head_block], -float("inf"), tl.float32)
    total = tl.zeros([head_block], tl.float32)
    attended = tl.zeros([head_block, dim_block], tl.float32)
    for block_start in range(start, end, key_block):
        positions = block_start + tl.arange(0, key_block)
        visible = positions < end
        slots = slots_of(pages + row.to(tl.int64) * max_pages, positions, visible, page_size)
        at_key = (slots * num_kv_heads + kv_head) * head_dim
        k = tl.load(
            keys + at_key[None, :] + dims[:, None], mask=visible[None, :] & (dims < head_dim)[:, None], other=0.0
        )
        scores = dot(q, k, tl.zeros([head_block, key_block], tl.float32)) * scale
        if capped:
            scores = capped_by(scores, cap)
        scores = tl.where(visible[None, :], scores, -float("inf"))
        # Each block has a visible key, so that the highest is finite from the first one on.
        new_highest = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_highest[:, None])
        decay = tl.exp2(highest - new_highest)
        v = tl.load(
            values + at_key[:, None] + dims[None, :], mask=visible[:, None] & (dims < head_dim)[None, :], other=0.0
        )
        total = total * decay + tl.sum(weights, axis=1)
        attended = dot(weights.to(v.dtype), v, attended * decay[:, None])
        highest = new_highest

    seen = total > 0.0
    attended = attended / tl.where(seen, total, 1.0)[:, None]
    log_sum = tl.where(seen, highest + tl.log2(tl.where(seen, total, 1.0)), -float("inf"))
    at_part = (row.to(tl.int64) * num_heads + heads) * num_splits + split
    tl.store(partial + at_part[:, None] * head_dim + dims[None, :], attended, mask=wanted)
    tl.store(log_sums + at_part, log_sum, mask=in_group < group)


def decode(
    output: Tensor,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    rows: DeviceBatch,
    kind: AttentionKind,
    *,
    page_size: int,
) -> None:
    """Writes what the tokens of rows with one new token each see into output [T, H, D]."""
    num_heads, head_dim = query.shape[1:]
    num_kv_heads = keys.shape[1]
    num_rows, max_pages = rows.pages.shape
    choice = choose(num_rows, num_kv_heads, max_pages * page_size, head_dim * keys.element_size())
    partial = query.new_empty(num_rows, num_heads, choice.num_splits, head_dim, dtype=torch.float32)
    log_sums = partial.new_empty(partial.shape[:3])
    _decode[(num_rows, num_kv_heads, choice.num_splits)](
        query, keys, values, rows.firsts, rows.lengths, rows.pages, partial, log_sums, *scale_and_cap(kind),
        kind.window or 0, max_pages,
        num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim, page_size=page_size,
        windowed=kind.window is not None, capped=kind.cap is not None, num_splits=choice.num_splits,
        head_block=max(triton.next_power_of_2(num_heads // num_kv_heads), 16),
        dim_block=max(triton.next_power_of_2(head_dim), 16), key_block=choice.key_block,
        num_warps=choice.num_warps, num_stages=choice.num_stages,
    )  # fmt: skip
    merge(output, partial, log_sums, rows.firsts)
