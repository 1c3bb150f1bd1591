from dataclasses import dataclass

import torch
from torch import Tensor

from xylem.kernels.interface import Linear
from xylem.kernels.reference.linear import PlainLinear

# Rows that the packed order is best for. One order serves all sizes of step.
ROWS_HINT = 32
# Elements below which a weight stays plain: the packed call itself takes longer, and small weights stay in the cache.
SMALL = 1 << 19


@dataclass(frozen=True, slots=True)
class PackedLinear:
    """weight: [M, N] in the blocked order of oneDNN; bias: [M]."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return result.to(dtype or x.dtype)


def linear(weight: Tensor, bias: Tensor | None) -> Linear:
    """Packed where that pays.

    bfloat16 gains at every size (oneDNN would reorder the plain one in each call), float32 from two rows on: half the
    time at eight, for a tenth more at a single one.
    """
    if weight.numel() < SMALL or not _packs(weight.dtype):
        return PlainLinear(weight, bias)
    return PackedLinear(torch.ops.mkldnn._reorder_linear_weight(weight, ROWS_HINT), bias)


def _packs(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())
