"""A mixture of experts as one multiplication per expert that is present, whose tokens lie together for it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kernels.ops import MixExperts, PackExperts


def packing(pack: Callable[[Tensor], Tensor]) -> PackExperts:
    """From the packing of one weight that of a stack of them, [E, M, N]: each on its own."""

    def pack_experts(weight: Tensor) -> tuple[Tensor, ...]:
        return tuple(pack(one) for one in weight)

    return pack_experts


def mixing(
    linear: Callable[[Tensor, Tensor, Tensor | None], Tensor], silu_and_mul: Callable[[Tensor], Tensor]
) -> MixExperts:
    """The operation on top of a backend's linear layer: where that gives each row the same in any batch, so does it."""

    def mix_experts(
        x: Tensor, gate_up: Sequence[Tensor], down: Sequence[Tensor], experts: Tensor, weights: Tensor
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
                inner = silu_and_mul(linear(sent[first:end], gate_up[expert], None))
                results[first:end] = linear(inner, down[expert], None)
                first = end
        by_token = torch.empty_like(results).index_copy_(0, order, results).view(*experts.shape, -1)  # [T, k, N]
        return (by_token.float() * weights.unsqueeze(-1)).sum(1).to(x.dtype)

    return mix_experts
