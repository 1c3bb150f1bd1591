import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.triton.exponents import LARGEST

BLOCK = 1024  # elements of a program: eight of each thread, which is one 16-byte access in bfloat16


@triton.jit
def _gate_and_mul(x: tl.tensor, out: tl.tensor, width: tl.tensor, is_gelu: tl.constexpr, block: tl.constexpr) -> None:
    """out [T, width] = activation(x[:, :width]) * x[:, width:] (Shazeer, "GLU Variants Improve Transformer", 2020).

    The activation is x / (1 + exp(-y)): y is x for SiLU, and 2 sqrt(2 / pi) (x + 0.044715 x^3) for the tanh form of
    GELU (Hendrycks and Gimpel, 2016). One piece of a row per program; in float32, rounded before the product, as the
    reference does.
    """
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < width
    gate = tl.load(x + row * 2 * width + columns, mask=inside, other=0.0)
    up = tl.load(x + row * 2 * width + width + columns, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    bent = wide
    if is_gelu:
        bent = 1.5957691216057308 * wide * (1.0 + 0.044715 * wide * wide)
    power = tl.exp(tl.minimum(-bent, LARGEST))
    tl.store(out + row * width + columns, (wide / (1.0 + power)).to(gate.dtype) * up, mask=inside)


def silu_and_mul(x: Tensor) -> Tensor:
    """[T, 2N] -> [T, N]: SiLU of the first half times the second."""
    return _gated(x, is_gelu=False)


def gelu_and_mul(x: Tensor) -> Tensor:
    """[T, 2N] -> [T, N]: GELU of the first half, in its tanh form, times the second."""
    return _gated(x, is_gelu=True)


def _gated(x: Tensor, *, is_gelu: bool) -> Tensor:
    assert x.is_contiguous()
    width = x.shape[1] // 2
    out = x.new_empty(len(x), width)
    _gate_and_mul[(len(x), triton.cdiv(width, BLOCK))](x, out, width, is_gelu=is_gelu, block=BLOCK)
    return out
