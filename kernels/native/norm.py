import torch
from torch import Tensor

from kernels.cpu import norm as cpu
from kernels.native.library import address, kernel

_add_rms_norm = kernel("add_rms_norm_bf16", "ppppllf")


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum, in one call."""
    if x.dtype is not torch.bfloat16:
        return cpu.add_rms_norm(x, delta, weight, epsilon)
    out = torch.empty_like(x)
    _add_rms_norm(address(x), address(delta), address(weight), address(out), *x.shape, epsilon)
    return out
