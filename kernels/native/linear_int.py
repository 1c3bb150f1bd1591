"""Weights in 8 and 4 bits, times x in 8 bits; see source/linear_int.c."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.native.library import address, kernel
from kernels.native.memory import ROOM
from kernels.quantization import INT4_GROUP, to_int4, to_int8

PANEL, STEP = 32, 64  # columns and rows of what is packed together
INT8_GROUP = 2 * STEP  # numbers of x with one scale; of int4 as many as of the weight
INT4_STEP_BYTES = PANEL * STEP // 2 + 2 * PANEL
PIECE = 1 << 18  # numbers quantized at once: few enough for the caches

_pack_int8 = kernel("pack_linear_int8", "ppll")
_pack_int4 = kernel("pack_linear_int4", "pppll")
_linear_int8 = kernel("linear_int8", "pppppppllllii")
_linear_int4 = kernel("linear_int4", "ppppppllllii")


class LinearInt8:
    """A scale for each column of the result, and one for each 128 numbers of a row of x."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: [M, N]; bias: [M]."""
        self._num_columns, self._width = weight.shape
        self._num_steps = -(-self._width // INT8_GROUP) * INT8_GROUP // STEP
        self._bias = None if bias is None else bias.float()
        codes, scales = _quantized(to_int8, weight)
        self._scales = scales.flatten()
        codes = F.pad(codes, (0, self._num_steps * STEP - self._width))
        self._packed = ROOM.zeros((-(-self._num_columns // PANEL), self._num_steps, PANEL * STEP), torch.uint8)
        _pack_int8(address(codes), address(self._packed), self._num_columns, self._num_steps)

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        out, codes, x_scales = _rooms(x, self._num_columns, self._num_steps, INT8_GROUP, dtype)
        if len(x):
            _linear_int8(
                address(x), address(self._packed), address(self._scales), address(self._bias), address(out),
                address(codes), address(x_scales), *x.shape, self._num_steps, self._num_columns,
                x.dtype is torch.float32, out.dtype is torch.float32,
            )  # fmt: skip
        return out


class LinearInt4:
    """A scale for each 64 numbers of a row of the weight, and of a row of x."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: [M, N]; bias: [M]."""
        self._num_columns, self._width = weight.shape
        self._bias = None if bias is None else bias.float()
        codes, scales = _quantized(to_int4, weight)
        self._num_steps = codes.shape[1]
        self._packed = ROOM.zeros((-(-self._num_columns // PANEL), self._num_steps, INT4_STEP_BYTES), torch.uint8)
        _pack_int4(address(codes), address(scales), address(self._packed), self._num_columns, self._num_steps)

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        out, codes, x_scales = _rooms(x, self._num_columns, self._num_steps, INT4_GROUP, dtype)
        if len(x):
            _linear_int4(
                address(x), address(self._packed), address(self._bias), address(out), address(codes),
                address(x_scales), *x.shape, self._num_steps, self._num_columns, x.dtype is torch.float32,
                out.dtype is torch.float32,
            )  # fmt: skip
        return out


def _quantized(form: Callable[[Tensor], tuple[Tensor, Tensor]], weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of a weight, some rows at a time."""
    pieces = [form(rows) for rows in torch.split(weight, max(1, PIECE // weight.shape[1]))]
    codes, scales = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return codes, scales


def _rooms(
    x: Tensor, num_columns: int, num_steps: int, group: int, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the result goes, the codes of x, and their scales."""
    out = x.new_empty(len(x), num_columns, dtype=dtype or x.dtype)
    codes = torch.empty(len(x), num_steps * STEP, dtype=torch.int8)
    return out, codes, torch.empty(len(x), num_steps * STEP // group)
