import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _add_rms_norm(
    x: tl.tensor,
    delta: tl.tensor,
    weight: tl.tensor,
    out: tl.tensor,
    width: tl.tensor,
    epsilon: tl.tensor,
    offset: tl.tensor,
    adds: tl.constexpr,
    shifts: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One row of x [T, width] per program: x += delta, out = x / sqrt(mean(x^2) + epsilon) * (weight + offset).

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019. The row is read once and stays in registers; its
    squares are summed in float32. block: a power of two that is not below the width.
    """
    columns = tl.arange(0, block)
    inside = columns < width
    at = tl.program_id(0).to(tl.int64) * width + columns
    value = tl.load(x + at, mask=inside, other=0.0)
    if adds:
        value += tl.load(delta + at, mask=inside, other=0.0)
        tl.store(x + at, value, mask=inside)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, axis=0) / width + epsilon)
    factor = tl.load(weight + columns, mask=inside, other=0.0)
    if shifts:
        normed = (wide * scale * (factor.to(tl.float32) + offset)).to(value.dtype)
    else:
        normed = (wide * scale).to(value.dtype) * factor
    tl.store(out + at, normed, mask=inside)


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float, *, offset: float = 0.0) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum, in one launch."""
    assert x.is_contiguous()
    out = torch.empty_like(x)
    width = x.shape[1]
    block = triton.next_power_of_2(width)
    _add_rms_norm[(len(x),)](
        x,
        x if delta is None else delta.contiguous(),
        weight,
        out,
        width,
        epsilon,
        offset,
        adds=delta is not None,
        shifts=offset != 0.0,
        block=block,
        num_warps=num_warps(block),
    )
    return out


def num_warps(block: int) -> int:
    """Returns the warps of a program of so many elements: 16 per thread, so that few rows keep many threads busy."""
    return min(max(block // 512, 1), 16)
