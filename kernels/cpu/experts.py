"""A mixture of experts as one multiplication per expert that is present, whose tokens lie together for it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xylem.kernels.interface import Linear, MixExperts


def mixing(silu_and_mul: Callable[[Tensor], Tensor]) -> MixExperts:
    """The operation with a backend's activation. Where linear layers give a row the same in any batch, so does it."""

    def mix_experts(
        x: Tensor, gate_up: Sequence[Linear], down: Sequence[Linear], experts: Tensor, weights: Tensor
    ) -> Tensor:
        num_chosen = experts.shape[1]
        chosen = experts.flatten()
        order = chosen.argsort(stable=True)  # [T x k]: whose turn it is, expert by expert
        sent = x.index_select(0, order // num_chosen)
        results = torch.empty_like(sent)
        first = 0
        for expert, count in enumerate(chosen.bincount().tolist()):
            if count:
                end = first + count
                results[first:end] = down[expert](silu_and_mul(gate_up[expert](sent[first:end])))
                first = end
        by_token = torch.empty_like(results).index_copy_(0, order, results).view(*experts.shape, -1)  # [T, k, N]
        return (by_token.float() * weights.unsqueeze(-1)).sum(1).to(x.dtype)

    return mix_experts
