"""Causal attention whose keys are its values too, one for all heads: the latents of DeepSeek-AI, "DeepSeek-V2", 2024.

A key is long (576 numbers in V2 and V3), and is read once for its score and its share of the result. Heads take the
place of queries: with so many of them to a key, tokens of a prompt need not stand together. Each new token is a row.
"""

from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.batch_metadata import BatchMetadata
from xylem.kernels.triton.decode import LEAST_KEYS, MOST_SPLITS, PROGRAMS
from xylem.kernels.triton.dot import dot
from xylem.kernels.triton.exponents import LOG2_E
from xylem.kernels.triton.merge import merge
from xylem.kernels.triton.paging import slots_of
from xylem.kernels.triton.upload import upload


@dataclass(frozen=True, slots=True)
class Tokens:
    """New tokens on the device, all int32.

    firsts: their places among all new ones; owners: which row of pages [B, P] is theirs; lengths: the keys they see.
    """

    firsts: Tensor
    owners: Tensor
    lengths: Tensor
    pages: Tensor


@dataclass(frozen=True, slots=True)
class LatentLaunch:
    """Sizes of the kernel: heads and keys of a block, warps of a program, stages (see decode.py); splits of a row."""

    head_block: int
    key_block: int
    num_warps: int
    num_stages: int
    num_splits: int


def choose(num_tokens: int, num_heads: int, max_keys: int, element_bytes: int) -> LatentLaunch:
    """By what is known before the lengths are.

    More heads to a block would spill registers: the sums of 32 take 64 KiB. float32, which nobody serves, does even so.
    """
    head_block = min(max(triton.next_power_of_2(num_heads), 16), 32 if element_bytes <= 2 else 16)
    num_programs = max(num_tokens * triton.cdiv(num_heads, head_block), 1)
    wanted = triton.next_power_of_2(triton.cdiv(PROGRAMS, num_programs))
    possible = triton.next_power_of_2(triton.cdiv(max_keys, LEAST_KEYS))
    return LatentLaunch(
        head_block=head_block,
        key_block=32 if element_bytes <= 2 else 16,
        num_warps=8,
        num_stages=5,
        num_splits=min(wanted, possible, MOST_SPLITS),
    )


@triton.jit(do_not_specialize=["max_pages"])
def _attend(
    output: tl.tensor,
    log_sums: tl.tensor,
    query: tl.tensor,
    keys: tl.tensor,
    firsts: tl.tensor,
    owners: tl.tensor,
    lengths: tl.tensor,
    pages: tl.tensor,
    scale: tl.tensor,
    max_pages: tl.tensor,
    num_heads: tl.constexpr,
    head_dim: tl.constexpr,
    page_size: tl.constexpr,
    num_splits: tl.constexpr,
    head_block: tl.constexpr,
    key_block: tl.constexpr,
    main_block: tl.constexpr,
    rest_block: tl.constexpr,
) -> None:
    """One split of the keys of one token per program, for a block of its heads: softmax(q K^T scale) K.

    query: [T, num_heads, head_dim], of which a token's are at firsts; keys: [S, 1, head_dim]. With one split output is
    [T, num_heads, head_dim]; with more it is [rows, num_heads, num_splits, head_dim] float32, and log_sums [rows,
    num_heads, num_splits] float32 is as in decode.py. scale comes multiplied by log2 e. A head size that is no power of
    two is cut in two pieces, of main_block and at most rest_block, rather than filled up with as many zeros.
    """
    row, split = tl.program_id(0), tl.program_id(2)
    length = tl.load(lengths + row)
    share = tl.cdiv(tl.cdiv(length, key_block), num_splits) * key_block
    start = split * share
    end = tl.minimum(start + share, length)

    heads = tl.program_id(1) * head_block + tl.arange(0, head_block)
    wanted = heads < num_heads
    main = tl.arange(0, main_block)
    rest = main_block + tl.arange(0, rest_block)
    in_rest = rest < head_dim
    token = tl.load(firsts + row).to(tl.int64)
    at_query = ((token * num_heads + heads) * head_dim)[:, None]
    q_main = tl.load(query + at_query + main[None, :], mask=wanted[:, None], other=0.0)
    q_rest = tl.load(query + at_query + rest[None, :], mask=wanted[:, None] & in_rest[None, :], other=0.0)

    table = pages + tl.load(owners + row).to(tl.int64) * max_pages
    highest = tl.full([head_block], -float("inf"), tl.float32)
    total = tl.zeros([head_block], tl.float32)
    main_sum = tl.zeros([head_block, main_block], tl.float32)
    rest_sum = tl.zeros([head_block, rest_block], tl.float32)
    for block_start in range(start, end, key_block):
        positions = block_start + tl.arange(0, key_block)
        visible = positions < end
        at_key = (slots_of(table, positions, visible, page_size) * head_dim)[:, None]
        k_main = tl.load(keys + at_key + main[None, :], mask=visible[:, None], other=0.0)
        k_rest = tl.load(keys + at_key + rest[None, :], mask=visible[:, None] & in_rest[None, :], other=0.0)
        scores = dot(q_main, tl.trans(k_main), tl.zeros([head_block, key_block], tl.float32))
        scores = dot(q_rest, tl.trans(k_rest), scores) * scale
        scores = tl.where(visible[None, :], scores, -float("inf"))
        # Each block has a visible key, so that the highest is finite from the first one on.
        new_highest = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_highest[:, None])
        decay = tl.exp2(highest - new_highest)
        total = total * decay + tl.sum(weights, axis=1)
        weights = weights.to(k_main.dtype)
        main_sum = dot(weights, k_main, main_sum * decay[:, None])
        rest_sum = dot(weights, k_rest, rest_sum * decay[:, None])
        highest = new_highest

    seen = total > 0.0
    total = tl.where(seen, total, 1.0)
    if num_splits == 1:
        at_output = at_query
    else:
        at_part = (row.to(tl.int64) * num_heads + heads) * num_splits + split
        tl.store(log_sums + at_part, tl.where(seen, highest + tl.log2(total), -float("inf")), mask=wanted)
        at_output = (at_part * head_dim)[:, None]
    kind = output.dtype.element_ty
    tl.store(output + at_output + main[None, :], (main_sum / total[:, None]).to(kind), mask=wanted[:, None])
    mask = wanted[:, None] & in_rest[None, :]
    tl.store(output + at_output + rest[None, :], (rest_sum / total[:, None]).to(kind), mask=mask)


def attend(query: Tensor, keys: Tensor, layout: BatchMetadata, *, scale: float) -> Tensor:
    """[T, H, D]. The head size must be above 16."""
    num_heads, head_dim = query.shape[1:]
    assert keys.shape[1:] == (1, head_dim)
    assert head_dim > 16
    tokens = _tokens(layout, query.device)
    num_rows, max_pages = len(tokens.firsts), tokens.pages.shape[1]
    choice = choose(num_rows, num_heads, max_pages * layout.page_size, keys.element_size())
    output = torch.empty_like(query)
    num_splits = choice.num_splits
    log_sums = query.new_empty(num_rows, num_heads, num_splits, dtype=torch.float32)
    partial = log_sums.new_empty(*log_sums.shape, head_dim) if num_splits > 1 else output
    main_block = triton.next_power_of_2(head_dim) // 2
    _attend[(num_rows, triton.cdiv(num_heads, choice.head_block), num_splits)](
        partial, log_sums, query, keys, tokens.firsts, tokens.owners, tokens.lengths, tokens.pages, scale * LOG2_E,
        max_pages,
        num_heads=num_heads, head_dim=head_dim, page_size=layout.page_size, num_splits=num_splits,
        head_block=choice.head_block, key_block=choice.key_block, main_block=main_block,
        rest_block=max(triton.next_power_of_2(head_dim - main_block), 16), num_warps=choice.num_warps,
        num_stages=choice.num_stages,
    )  # fmt: skip
    if num_splits > 1:
        merge(output, partial, log_sums, tokens.firsts)
    return output


def _tokens(layout: BatchMetadata, device: torch.device) -> Tokens:
    """Worked out and uploaded by the first layer of a step; of rows on the device nothing needs to be."""
    rows = layout.decoding
    if rows is not None:
        each = torch.arange(len(rows.firsts), dtype=torch.int32, device=device)
        return Tokens(rows.firsts, each, rows.lengths, rows.pages)
    key = ("triton", "latent")
    if key not in layout.prepared:
        spans = layout.spans
        firsts = np.concatenate([np.arange(span.first, span.first + span.num_new) for span in spans])
        lengths = np.concatenate([np.arange(span.start + 1, span.num_kv + 1) for span in spans])
        owners = np.repeat(np.arange(len(spans)), [span.num_new for span in spans])
        pages = np.zeros((len(spans), max(len(span.pages) for span in spans)), dtype=np.int32)
        for table, span in zip(pages, spans, strict=True):
            table[: len(span.pages)] = span.pages
        narrow = [column.astype(np.int32) for column in (firsts, owners, lengths)]
        layout.prepared[key] = Tokens(*upload([*narrow, pages], device))
    found: Tokens = layout.prepared[key]
    return found
