from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xylem.kernels.quantization import through_int4, through_int8


@dataclass(frozen=True, slots=True)
class PlainLinear:
    """weight: [M, N]; bias: [M]."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return F.linear(x, self.weight, self.bias).to(dtype or x.dtype)


def int8(weight: Tensor, bias: Tensor | None) -> PlainLinear:
    """Returns the weight as int8 leaves it: the definition, which spares no memory."""
    return PlainLinear(through_int8(weight), bias)


def int4(weight: Tensor, bias: Tensor | None) -> PlainLinear:
    """Returns the weight as int4 leaves it: the definition, which spares no memory."""
    return PlainLinear(through_int4(weight), bias)
