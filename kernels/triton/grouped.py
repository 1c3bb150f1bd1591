"""A product of many small matrices in one launch: rows that lie together by expert, each with its expert's weight."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.triton.dot import dot


@dataclass(frozen=True, slots=True)
class GroupedLaunch:
    """Sizes of the kernel: rows, columns and depth of a block, warps of a program, blocks of depth in flight."""

    row_block: int
    column_block: int
    depth_block: int
    num_warps: int
    num_stages: int


def choose(num_rows: int, num_experts: int, element_bytes: int) -> GroupedLaunch:
    """By the rows that an expert gets on average; known before the rows are, so a captured graph fits any of them.

    With few rows weights are read as fast as memory gives them: small blocks, deep and many in flight. With many the
    products count. Blocks of float32 are less deep, and stay small: each product of them is three.
    """
    mean = num_rows / num_experts
    if mean <= 16:
        return GroupedLaunch(16, 64, 128 if element_bytes <= 2 else 32, num_warps=4, num_stages=4)
    if element_bytes > 2:
        return GroupedLaunch(64, 64, 32, num_warps=8, num_stages=3)
    if mean <= 128:
        return GroupedLaunch(64, 64, 64, num_warps=4, num_stages=3)
    return GroupedLaunch(128, 128, 64, num_warps=8, num_stages=3)


@dataclass(frozen=True, slots=True)
class Groups:
    """Sorts tokens by expert, on the device. P = T x k pairs of a token and one of its experts, ordered by expert.

    order: [P], the pair t x k + j of each row; starts: [E + 1], where the rows of each expert begin; block_starts:
    [E + 1], how many blocks the experts before it take, which are not shared; max_blocks: more there can't be.
    """

    order: Tensor
    starts: Tensor
    block_starts: Tensor
    max_blocks: int

    @classmethod
    def of(cls, experts: Tensor, num_experts: int, row_block: int) -> "Groups":
        """From the experts of each token, [T, k]. Nothing waits for the device: a graph can capture it."""
        chosen, order = experts.flatten().sort(stable=True)
        starts = torch.searchsorted(chosen, torch.arange(num_experts + 1, device=chosen.device))
        num_blocks = (starts.diff() + row_block - 1) // row_block
        block_starts = torch.nn.functional.pad(num_blocks.cumsum(0), (1, 0))
        num_pairs = len(order)
        return cls(order, starts, block_starts, min(num_pairs, triton.cdiv(num_pairs, row_block) + num_experts))


@triton.jit
def _multiply(
    out: tl.tensor,
    x: tl.tensor,
    weight: tl.tensor,
    order: tl.tensor,
    starts: tl.tensor,
    block_starts: tl.tensor,
    depth: tl.tensor,
    width: tl.tensor,
    num_chosen: tl.constexpr,
    num_experts: tl.constexpr,
    gated: tl.constexpr,
    expert_block: tl.constexpr,
    row_block: tl.constexpr,
    column_block: tl.constexpr,
    depth_block: tl.constexpr,
) -> None:
    """One block of rows of one expert times one block of columns of its weight, per program.

    gated: out [P, width] by expert = SiLU(a) * b, where a, b are x [T, depth] times the two halves of weight
    [E, 2 width, depth]. Otherwise out [P, width] by token = x [P, depth], by expert, times weight [E, width, depth].
    Blocks of one expert are neighbours, so that its weight comes from the cache for all but the first. Gale et al.,
    "MegaBlocks: Efficient Sparse Training with Mixture-of-Experts", 2022.
    """
    block = tl.program_id(0)
    each = tl.arange(0, expert_block)
    ends = tl.load(block_starts + 1 + each, mask=each < num_experts, other=2**31 - 1)
    expert = tl.sum((ends <= block).to(tl.int32), axis=0)
    if expert == num_experts:
        return  # this block is none: so many only the worst case needs
    first = tl.load(starts + expert) + (block - tl.load(block_starts + expert)) * row_block
    rows = first + tl.arange(0, row_block)
    there = rows < tl.load(starts + expert + 1)
    pairs = tl.load(order + rows, mask=there, other=0)
    source = pairs // num_chosen if gated else rows
    target = rows if gated else pairs
    columns = tl.program_id(1) * column_block + tl.arange(0, column_block)
    inside = columns < width
    matrix = weight + expert.to(tl.int64) * (2 if gated else 1) * width * depth
    at_x = source.to(tl.int64)[:, None] * depth
    at_weight = columns.to(tl.int64)[None, :] * depth
    sums = tl.zeros([row_block, column_block], tl.float32)
    others = tl.zeros([row_block, column_block], tl.float32)
    for start in range(0, depth, depth_block):
        places = start + tl.arange(0, depth_block)
        within = places < depth
        a = tl.load(x + at_x + places[None, :], mask=there[:, None] & within[None, :], other=0.0)
        mask = inside[None, :] & within[:, None]
        sums = dot(a, tl.load(matrix + at_weight + places[:, None], mask=mask, other=0.0), sums)
        if gated:
            second = matrix + width.to(tl.int64) * depth
            others = dot(a, tl.load(second + at_weight + places[:, None], mask=mask, other=0.0), others)
    if gated:
        sums = sums / (1.0 + tl.exp(-sums)) * others
    at_out = target.to(tl.int64)[:, None] * width + columns[None, :]
    tl.store(out + at_out, sums.to(out.dtype.element_ty), mask=there[:, None] & inside[None, :])


def multiply(
    x: Tensor, weight: Tensor, groups: Groups, choice: GroupedLaunch, *, num_chosen: int, gated: bool
) -> Tensor:
    """[P, width]; see the kernel."""
    num_experts, height, depth = weight.shape
    width = height // 2 if gated else height
    out = x.new_empty(len(groups.order), width)
    _multiply[(groups.max_blocks, triton.cdiv(width, choice.column_block))](
        out, x, weight, groups.order, groups.starts, groups.block_starts, depth, width,
        num_chosen=num_chosen, num_experts=num_experts, gated=gated,
        expert_block=triton.next_power_of_2(num_experts), row_block=choice.row_block,
        column_block=choice.column_block, depth_block=choice.depth_block,
        num_warps=choice.num_warps, num_stages=choice.num_stages,
    )  # fmt: skip
    return out
