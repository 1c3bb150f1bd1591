"""Causal attention of chunks of prompts over the paged KV of their rows, the chunk itself included.

Blocks of queries against blocks of keys with an online softmax: Dao, "FlashAttention-2", 2023.
"""

from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.triton.capping import capped_by, scale_and_cap
from xylem.kernels.triton.course import Reading
from xylem.kernels.triton.dot import dot
from xylem.kernels.triton.paging import slots_of

# What a hidden key scores: low enough that the first visible one takes all weight from it, and not infinite, because a
# block may hide all of its keys from a query.
HIDDEN = tl.constexpr(-1e30)


@dataclass(frozen=True, slots=True)
class ExtendLaunch:
    """Sizes of the kernel: queries and keys of a block, warps of a program, blocks of keys in flight."""

    query_block: int
    key_block: int
    num_warps: int
    num_stages: int


def choose(head_dim: int, element_size: int) -> ExtendLaunch:
    """By the size of a head and the bytes of its elements: what keeps queries, weights and sums in registers."""
    if element_size == 2:
        if head_dim <= 128:
            return ExtendLaunch(query_block=128, key_block=64, num_warps=8, num_stages=3)
        return ExtendLaunch(query_block=64, key_block=32, num_warps=8, num_stages=2)
    return ExtendLaunch(query_block=16, key_block=32, num_warps=4 if head_dim <= 128 else 8, num_stages=2)


@triton.jit(do_not_specialize=["max_pages", "window"])
def _extend(
    output: tl.tensor,
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    blocks: tl.tensor,
    firsts: tl.tensor,
    nums_new: tl.tensor,
    lengths: tl.tensor,
    pages: tl.tensor,
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
    query_block: tl.constexpr,
    key_block: tl.constexpr,
    dim_block: tl.constexpr,
) -> None:
    """One block of queries of one head per program.

    output, query: [T, num_heads, head_dim]; keys, values: [S, num_kv_heads, head_dim]; blocks: [N, 2] int32, row and
    first of its new tokens; firsts, nums_new, lengths: [B] int32; pages: [B, max_pages] int32. A query at position p
    gives softmax(q K^T scale) V over the keys at positions (p - window, p]. scale comes multiplied by log2 e; with a
    cap see capped_by.
    """
    block, head = tl.program_id(0), tl.program_id(1)
    row, in_chunk = tl.load(blocks + 2 * block), tl.load(blocks + 2 * block + 1)
    num_new, length = tl.load(nums_new + row), tl.load(lengths + row)
    kv_head = head // (num_heads // num_kv_heads)
    places = in_chunk + tl.arange(0, query_block)
    asked = places < num_new
    of_query = length - num_new + places
    dims = tl.arange(0, dim_block)
    in_head = dims < head_dim
    tokens = tl.load(firsts + row).to(tl.int64) + places
    at_query = (tokens * num_heads + head)[:, None] * head_dim + dims[None, :]
    q = tl.load(query + at_query, mask=asked[:, None] & in_head[None, :], other=0.0)

    oldest = 0
    if windowed:
        oldest = tl.maximum(length - num_new + in_chunk - window + 1, 0)
    end = tl.minimum(length - num_new + in_chunk + query_block, length)
    highest = tl.full([query_block], HIDDEN, tl.float32)
    total = tl.zeros([query_block], tl.float32)
    attended = tl.zeros([query_block, dim_block], tl.float32)
    for start in range(oldest, end, key_block):
        of_key = start + tl.arange(0, key_block)
        there = of_key < end
        slots = slots_of(pages + row.to(tl.int64) * max_pages, of_key, there, page_size)
        at_key = (slots * num_kv_heads + kv_head) * head_dim
        k = tl.load(keys + at_key[None, :] + dims[:, None], mask=there[None, :] & in_head[:, None], other=0.0)
        scores = dot(q, k, tl.zeros([query_block, key_block], tl.float32)) * scale
        if capped:
            scores = capped_by(scores, cap)
        visible = of_key[None, :] <= of_query[:, None]
        if windowed:
            visible &= of_key[None, :] > of_query[:, None] - window
        scores = tl.where(visible, scores, HIDDEN)
        new_highest = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_highest[:, None])
        decay = tl.exp2(highest - new_highest)
        v = tl.load(values + at_key[:, None] + dims[None, :], mask=there[:, None] & in_head[None, :], other=0.0)
        total = total * decay + tl.sum(weights, axis=1)
        attended = dot(weights.to(v.dtype), v, attended * decay[:, None])
        highest = new_highest
    attended = (attended / total[:, None]).to(output.dtype.element_ty)
    tl.store(output + at_query, attended, mask=asked[:, None] & in_head[None, :])


def extend(
    output: Tensor, query: Tensor, keys: Tensor, values: Tensor, reading: Reading, choice: ExtendLaunch,
    kind: AttentionKind, *, page_size: int,
) -> None:  # fmt: skip
    """Writes what the tokens of rows with several new ones see into output [T, H, D]."""
    num_heads, head_dim = query.shape[1:]
    rows = reading.rows
    _extend[(len(reading.blocks), num_heads)](
        output, query, keys, values, reading.blocks, rows.firsts, rows.nums_new, rows.lengths, rows.pages,
        *scale_and_cap(kind), kind.window or 0, rows.pages.shape[1],
        num_heads=num_heads, num_kv_heads=keys.shape[1], head_dim=head_dim, page_size=page_size,
        windowed=kind.window is not None, capped=kind.cap is not None,
        query_block=choice.query_block, key_block=choice.key_block, dim_block=max(triton.next_power_of_2(head_dim), 16),
        num_warps=choice.num_warps, num_stages=choice.num_stages,
    )  # fmt: skip
