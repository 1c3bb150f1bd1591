from collections.abc import Sequence

import torch
from torch import Tensor

from xylem.kernels.interface import Linear, PackLinear
from xylem.kernels.reference.activation import silu_and_mul


def pack_experts(weight: Tensor, pack: PackLinear) -> list[Linear]:
    """Each on its own."""
    return [pack(one, None) for one in weight]


def mix_experts(
    x: Tensor, gate_up: Sequence[Linear], down: Sequence[Linear], experts: Tensor, weights: Tensor
) -> Tensor:
    """Expert by expert, in their order: a row adds up its own ones alike whatever rows are beside it."""
    mixed = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
    for expert in sorted(set(experts.flatten().tolist())):
        tokens, choices = torch.where(experts == expert)
        result = down[expert](silu_and_mul(gate_up[expert](x[tokens])))
        mixed.index_add_(0, tokens, result.float() * weights[tokens, choices, None])
    return mixed.to(x.dtype)
