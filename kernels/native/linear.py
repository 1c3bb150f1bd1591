"""Linear layers with packed weights; see source/linear.h."""

import ctypes
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from xylem.kernels.cpu.linear import linear as cpu_linear
from xylem.kernels.interface import Linear
from xylem.kernels.native.library import ELEMENTS, address, count, kernel
from xylem.kernels.native.memory import ROOM
from xylem.kernels.quantization import to_int4, to_int8

# As in source/linear.h and the source of each kind.
FLOAT, BF16, INT8, INT4 = range(4)
PANEL = 32  # columns that are packed together
BF16_STEP = 32  # rows that are
INT_STEP = 64
INT8_GROUP = 2 * INT_STEP  # numbers of x with one scale; of int4 as many as of the weight
INT4_STEP_BYTES = PANEL * INT_STEP // 2 + 2 * PANEL
PIECE = 1 << 18  # numbers quantized at once: few enough for the caches

_pack_float = kernel("pack_linear_float", "ppll")
_pack_bf16 = kernel("pack_linear_bf16", "ppll")
_pack_int8 = kernel("pack_linear_int8", "ppll")
_pack_int4 = kernel("pack_linear_int4", "pppll")
_linear = kernel("linear", "pppplii")
_room = count("linear_room", "pl")


class Weight(ctypes.Structure):
    """The `Linear` of source/linear.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("packed", "scales", "bias")),
        *((name, ctypes.c_int64) for name in ("num_columns", "width")),
        ("kind", ctypes.c_int32),
    )


class NativeLinear:
    """x W^T + b with sums in float32. A row of the result is the same bits in any batch."""

    def __init__(
        self, kind: int, packed: Tensor, bias: Tensor | None, num_columns: int, width: int, scales: Tensor | None = None
    ) -> None:
        """width: of x as the kernel wants it, filled up with zeros."""
        self._kept = packed, scales, None if bias is None else bias.float().contiguous()
        self.weight = Weight(address(packed), address(scales), address(self._kept[2]), num_columns, width, kind)
        self._at = ctypes.addressof(self.weight)

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        dtype, weight = dtype or x.dtype, self.weight
        if x.dtype not in ELEMENTS or dtype not in ELEMENTS:
            return self(x.float(), torch.float32).to(dtype)
        out = x.new_empty(len(x), weight.num_columns, dtype=dtype)
        x = F.pad(x, (0, weight.width - x.shape[1])) if x.shape[1] != weight.width else x.contiguous()
        num_bytes = _room(self._at, len(x))
        room = torch.empty(num_bytes, dtype=torch.uint8) if num_bytes else None
        floats = x.dtype is torch.float32, dtype is torch.float32
        _linear(self._at, address(x), address(out), address(room), len(x), *floats)
        return out


def linear(weight: Tensor, bias: Tensor | None) -> Linear:
    """weight: [M, N]; bias: [M]. The types that there is no kernel for are left to torch's."""
    num_columns, width = weight.shape
    panels, weight = _panels(weight), weight.contiguous()
    if weight.dtype is torch.bfloat16:
        num_steps = -(-width // BF16_STEP)
        packed = ROOM.zeros((panels, num_steps, 2, 16, 32), torch.bfloat16)
        _pack_bf16(address(weight), address(packed), num_columns, width)
        return NativeLinear(BF16, packed, bias, num_columns, num_steps * BF16_STEP)
    if weight.dtype is torch.float32:
        packed = ROOM.zeros((panels, width, PANEL), torch.float32)
        _pack_float(address(weight), address(packed), num_columns, width)
        return NativeLinear(FLOAT, packed, bias, num_columns, width)
    return cpu_linear(weight, bias)


def linear_int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """A scale for each column of the result, and one for each 128 numbers of a row of x."""
    num_columns, width = weight.shape
    num_steps = -(-width // INT8_GROUP) * INT8_GROUP // INT_STEP
    codes, scales = _quantized(to_int8, weight)
    codes = F.pad(codes, (0, num_steps * INT_STEP - width))
    packed = ROOM.zeros((_panels(weight), num_steps, PANEL * INT_STEP), torch.uint8)
    _pack_int8(address(codes), address(packed), num_columns, num_steps)
    return NativeLinear(INT8, packed, bias, num_columns, width, scales.flatten())


def linear_int4(weight: Tensor, bias: Tensor | None) -> Linear:
    """A scale for each 64 numbers of a row of the weight, and of a row of x."""
    num_columns, width = weight.shape
    codes, scales = _quantized(to_int4, weight)
    num_steps = codes.shape[1]
    packed = ROOM.zeros((_panels(weight), num_steps, INT4_STEP_BYTES), torch.uint8)
    _pack_int4(address(codes), address(scales), address(packed), num_columns, num_steps)
    return NativeLinear(INT4, packed, bias, num_columns, width)


def _panels(weight: Tensor) -> int:
    return -(-len(weight) // PANEL)


def _quantized(form: Callable[[Tensor], tuple[Tensor, Tensor]], weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scales of a weight, some rows at a time."""
    pieces = [form(rows) for rows in torch.split(weight, max(1, PIECE // weight.shape[1]))]
    codes, scales = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    return codes, scales
