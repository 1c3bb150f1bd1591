"""Weights in fewer bits: what the numbers of each form are, in plain torch. Backends lay them out as they like.

Symmetric, rounded to nearest. int8 has one scale for each row of a weight (an output channel), int4 one for each 64
neighbours in a row: four bits are too few for numbers that lie far apart. As in llama.cpp's Q4_0, the number farthest
from zero becomes -8, whatever its sign, so that all 16 steps are used.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

INT4_GROUP = 64


def to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[M, N] -> codes [M, N] int8 within 127, scales [M, 1] float32: weight = about codes x scales."""
    weight = weight.float()
    scales = weight.abs().amax(1, keepdim=True).div_(127)
    return _codes(weight, scales, -127, 127), scales


def to_int4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[M, N] -> codes [M, G, 64] int8 within -8 and 7, scales [M, G, 1] bfloat16; rows end with zeros."""
    groups = F.pad(weight.float(), (0, -weight.shape[1] % INT4_GROUP)).unflatten(1, (-1, INT4_GROUP))
    lowest, highest = groups.aminmax(dim=2, keepdim=True)
    scales = torch.where(-lowest > highest, lowest, highest).div_(-8).bfloat16()
    return _codes(groups, scales.float(), -8, 7), scales


def _codes(numbers: Tensor, scales: Tensor, lowest: int, highest: int) -> Tensor:
    steps = torch.where(scales == 0, 0, 1 / scales)
    return (numbers * steps).round_().clamp_(lowest, highest).to(torch.int8)


def through_int8(weight: Tensor) -> Tensor:
    """The weight that is left of it, [M, N] in its own type."""
    codes, scales = to_int8(weight)
    return (codes * scales).to(weight.dtype)


def through_int4(weight: Tensor) -> Tensor:
    """The weight that is left of it, [M, N] in its own type."""
    codes, scales = to_int4(weight)
    return (codes * scales.float()).flatten(1)[:, : weight.shape[1]].to(weight.dtype)
