import torch
from torch import Tensor


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float, *, offset: float = 0.0) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum."""
    if delta is not None:
        x.add_(delta)
    return rms_norm(x, weight.float() + offset, epsilon) if offset else rms_norm(x, weight, epsilon)


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm over the last dimension, in float32, scaled in the type of `weight`, of x's type."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return (weight * wide.to(weight.dtype)).to(x.dtype)
