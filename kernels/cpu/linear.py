import torch
import torch.nn.functional as F
from torch import Tensor

# Rows that the packed order is best for. One order serves all sizes of step.
ROWS_HINT = 32
# Elements below which a weight stays plain: the packed call itself takes longer, and small weights stay in the cache.
SMALL = 1 << 19


def pack(weight: Tensor) -> Tensor:
    """The weight in the blocked order of oneDNN, where that pays.

    bfloat16 gains at every size (oneDNN would reorder the plain one in each call), float32 from two rows on: half the
    time at eight, for a tenth more at a single one.
    """
    if weight.numel() < SMALL or not _packs(weight.dtype):
        return weight
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS_HINT)
    return packed


def _packs(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype is torch.float32 or (dtype is torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[T, N] -> [T, M]."""
    if weight.is_mkldnn:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return result
    return F.linear(x, weight, bias)
