import torch
from torch import Tensor

from xylem.kernels.cpu.norm import add_rms_norm as cpu_add_rms_norm
from xylem.kernels.native.library import ELEMENTS, address, kernel

_add_rms_norm = kernel("add_rms_norm", "ppppllffi")


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float, *, offset: float = 0.0) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum, in one call."""
    if x.dtype not in ELEMENTS:
        return cpu_add_rms_norm(x, delta, weight, epsilon, offset=offset)
    out = torch.empty_like(x)
    places = address(x), address(delta), address(weight), address(out)
    _add_rms_norm(*places, *x.shape, epsilon, offset, ELEMENTS[x.dtype])
    return out
