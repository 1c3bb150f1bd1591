import torch.nn.functional as F
from torch import Tensor

from xylem.kernels.reference.norm import rms_norm


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float, *, offset: float = 0.0) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum, in one fused pass."""
    if delta is not None:
        x.add_(delta)
    if offset:
        return rms_norm(x, weight.float() + offset, epsilon)
    return F.rms_norm(x, weight.shape, weight, epsilon)
