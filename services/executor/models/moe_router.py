"""Which experts a token goes through."""

import torch
from torch import Tensor

from xylem.services.executor.model_config.moe_config import MoeConfig


def route(logits: Tensor, config: MoeConfig, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """From a router's logits [T, E] float32 the experts of each token [T, k] int64 and their weights [T, k] float32.

    bias [E]: added for the choice, not for the weights (Wang et al. 2024, load balancing without an auxiliary loss).
    Equal scores do no harm: topk decides them by the row alone.
    """
    scores = logits.sigmoid() if config.scoring == "sigmoid" else logits.softmax(-1)
    wanted = scores if bias is None else scores + bias
    if config.num_chosen_groups < config.num_groups:
        wanted = _within_best_groups(wanted, config)
    experts = wanted.topk(config.num_chosen, dim=-1).indices
    weights = scores.gather(1, experts)
    if config.normalised:
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)  # all sigmoids of a row may be 0
    return experts, weights * config.scaling


def _within_best_groups(wanted: Tensor, config: MoeConfig) -> Tensor:
    """Minus infinity outside the groups whose best experts promise most (DeepSeek-V2 2024, section 2.2.2)."""
    grouped = wanted.view(len(wanted), config.num_groups, -1)
    promise = grouped.topk(config.num_group_best, dim=-1).values.sum(-1)
    best = promise.topk(config.num_chosen_groups, dim=-1).indices
    others = torch.ones_like(promise, dtype=torch.bool).scatter_(1, best, value=False)
    return grouped.masked_fill(others.unsqueeze(-1), float("-inf")).flatten(1)
