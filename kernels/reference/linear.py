from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PlainLinear:
    """weight: [M, N]; bias: [M]."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return F.linear(x, self.weight, self.bias).to(dtype or x.dtype)
