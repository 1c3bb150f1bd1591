import torch.nn.functional as F
from torch import Tensor


def pack(weight: Tensor) -> Tensor:
    """As it is."""
    return weight


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[T, N] -> [T, M]."""
    return F.linear(x, weight, bias)
