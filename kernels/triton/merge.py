import triton
import triton.language as tl
from torch import Tensor

MOST_DIMS = 128  # of a program: of 64 parts they just fit into its registers


@triton.jit
def _merge(
    output: tl.tensor,
    partial: tl.tensor,
    log_sums: tl.tensor,
    firsts: tl.tensor,
    num_heads: tl.constexpr,
    head_dim: tl.constexpr,
    num_splits: tl.constexpr,
    dim_block: tl.constexpr,
) -> None:
    """Parts of an attention over disjoint keys as one: sum of 2^log_sum partial over the sum of 2^log_sum.

    A piece of one head of one row per program. partial: [B, num_heads, num_splits, head_dim] float32; log_sums: [B,
    num_heads, num_splits] float32, base 2; output: [T, num_heads, head_dim], where a row's is at firsts. A row that saw
    nothing gets zeros. Source: section 2.2 of Ye et al., "FlashInfer", 2025.
    """
    row, head = tl.program_id(0), tl.program_id(1)
    at = row.to(tl.int64) * num_heads + head
    splits = tl.arange(0, num_splits)
    dims = tl.program_id(2) * dim_block + tl.arange(0, dim_block)
    inside = dims < head_dim
    sums = tl.load(log_sums + at * num_splits + splits)
    highest = tl.max(sums, axis=0)
    shares = tl.exp2(sums - tl.where(highest == -float("inf"), 0.0, highest))
    at_part = (at * num_splits + splits)[:, None] * head_dim + dims[None, :]
    parts = tl.load(partial + at_part, mask=inside[None, :], other=0.0)
    merged = tl.sum(parts * shares[:, None], axis=0) / tl.maximum(tl.sum(shares, axis=0), 1e-30)
    at_output = (tl.load(firsts + row).to(tl.int64) * num_heads + head) * head_dim
    tl.store(output + at_output + dims, merged.to(output.dtype.element_ty), mask=inside)


def merge(output: Tensor, partial: Tensor, log_sums: Tensor, firsts: Tensor) -> None:
    """Into output [T, H, D], at the tokens firsts [B] int32."""
    num_rows, num_heads, num_splits, head_dim = partial.shape
    dim_block = min(triton.next_power_of_2(head_dim), MOST_DIMS)
    _merge[(num_rows, num_heads, triton.cdiv(head_dim, dim_block))](
        output, partial, log_sums, firsts,
        num_heads=num_heads, head_dim=head_dim, num_splits=num_splits, dim_block=dim_block,
        num_warps=4 if num_splits >= 16 else 1,
    )  # fmt: skip
