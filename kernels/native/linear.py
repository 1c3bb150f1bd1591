import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.cpu.linear import linear as cpu_linear
from kernels.native.library import address, count, kernel
from kernels.native.memory import ROOM
from kernels.ops import Linear

PANEL, STEP = 32, 32  # columns and rows of what is packed together; see source/linear_bf16.c

_pack = kernel("pack_linear_bf16", "ppll")
_linear = kernel("linear_bf16", "pppppllli")
_room = count("linear_bf16_room", "lll")


class LinearBf16:
    """x W^T + b on tiles of bfloat16, with sums in float32. A row of the result is the same bits in any batch."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: [M, N]; bias: [M]."""
        self._num_columns, self._width = weight.shape
        panels, steps = (-(-size // unit) for size, unit in zip(weight.shape, (PANEL, STEP), strict=True))
        self._packed = ROOM.zeros((panels, steps, 2, 16, 32), torch.bfloat16)
        self._bias = None if bias is None else bias.float()
        _pack(address(weight), address(self._packed), *weight.shape)

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        out = x.new_empty(len(x), self._num_columns, dtype=dtype or x.dtype)
        if not len(x):
            return out
        x = F.pad(x, (0, -self._width % STEP)) if self._width % STEP else x.contiguous()
        shape = *x.shape, self._num_columns
        room = torch.empty(_room(*shape), dtype=torch.float32)
        _linear(
            address(x), address(self._packed), address(self._bias), address(out), address(room), *shape,
            out.dtype is torch.float32,
        )  # fmt: skip
        return out


def linear(weight: Tensor, bias: Tensor | None) -> Linear:
    """The types that there is no kernel for are left to torch's."""
    return LinearBf16(weight, bias) if weight.dtype is torch.bfloat16 else cpu_linear(weight, bias)
