import torch.nn.functional as F
from torch import Tensor


def add_rms_norm(x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float) -> Tensor:
    """Adds delta to x [T, N] in place; gives the norm of the sum, in one fused pass."""
    if delta is not None:
        x.add_(delta)
    return F.rms_norm(x, weight.shape, weight, epsilon)
