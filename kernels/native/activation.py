from torch import Tensor

from xylem.kernels.native.library import ELEMENTS, address, kernel
from xylem.kernels.reference import activation as reference

_gate_and_mul = kernel("gate_and_mul", "ppllii")


def silu_and_mul(x: Tensor) -> Tensor:
    """[T, 2N] -> [T, N]: SiLU of the first half times the second."""
    return reference.silu_and_mul(x) if x.dtype not in ELEMENTS else _gated(x, is_gelu=False)


def gelu_and_mul(x: Tensor) -> Tensor:
    """[T, 2N] -> [T, N]: GELU of the first half, in its tanh form, times the second."""
    return reference.gelu_and_mul(x) if x.dtype not in ELEMENTS else _gated(x, is_gelu=True)


def _gated(x: Tensor, *, is_gelu: bool) -> Tensor:
    out = x.new_empty(len(x), x.shape[1] // 2)
    _gate_and_mul(address(x), address(out), *out.shape, is_gelu, ELEMENTS[x.dtype])
    return out
