"""Drawing tokens from logits. A row's draw depends on its own logits and parameters only, never on the batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xylem.kernels.reference.philox import uniform
from xylem.kernels.sampling_batch import Draw

# Below this temperature only logits that differ in their last bits still compete, and 1 / temperature overflows.
COLDEST = 1e-6
# Where a nucleus is looked for: tokens at least so likely against the likeliest. Sorting all of a vocabulary is slow.
FLOORS = (1e-2, 1e-4)


def sample(logits: Tensor, draws: Sequence[Draw], positions: Sequence[int]) -> list[int]:
    """One token per row of logits [B, V]; positions: index in its sequence of each token to be drawn."""
    chosen = [i for i, draw in enumerate(draws) if draw.temperature > 0]
    if not chosen:
        greedy: list[int] = logits.argmax(-1).tolist()
        return greedy
    device = logits.device
    seeds = torch.tensor([draws[i].seed for i in chosen], dtype=torch.int64, device=device)
    numbers = uniform(seeds, torch.tensor([positions[i] for i in chosen], dtype=torch.int64, device=device))
    number_of = dict(zip(chosen, numbers, strict=True))
    tokens = [
        _draw(row, draw, number_of[i]) if i in number_of else row.argmax()
        for i, (row, draw) in enumerate(zip(logits, draws, strict=True))
    ]
    drawn: list[int] = torch.stack(tokens).tolist()
    return drawn


def _draw(logits: Tensor, draw: Draw, number: Tensor) -> Tensor:
    """Inverse of the cumulative distribution over what top_k, top_p and min_p keep, in the order of token ids.

    The three cut in this order, each on what the one before has left (as transformers' warpers do); equals of the last
    kept probability are kept too. Weights are probabilities over that of the likeliest token.
    """
    highest = logits.max()
    if not highest.isfinite():  # all is forbidden, or the model failed: there are no weights
        return logits.argmax()
    weights = ((logits - highest) / max(draw.temperature, COLDEST)).exp()
    edge: Tensor | None = None
    if 0 < draw.top_k < weights.numel():
        edge = weights.topk(draw.top_k).values[-1]
    if draw.top_p < 1.0:
        edge = _nucleus_edge(weights if edge is None else weights[weights >= edge], draw.top_p)
    if draw.min_p > 0.0:
        edge = weights.new_tensor(draw.min_p) if edge is None else edge.clamp(min=draw.min_p)
    if edge is None:
        return _pick(weights, number)
    kept = (weights >= edge.clamp(max=1.0)).nonzero().squeeze(1)
    return kept[_pick(weights[kept], number)]


def _pick(weights: Tensor, number: Tensor) -> Tensor:
    """The index whose share of the sum of weights holds a number in (0, 1].

    The first whose cumulative weight reaches the number's share of the sum: 0 is never wanted and rounding never
    exceeds the sum, so that there is always one, and one with a weight.
    """
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(cumulative, number * cumulative[-1])


def _nucleus_edge(weights: Tensor, top_p: float) -> Tensor:
    """The smallest weight of the fewest tokens that have a share of top_p together (Holtzman et al. 2020)."""
    wanted = top_p * weights.sum(dtype=torch.float64)
    likely = weights
    for floor in FLOORS:
        above = weights[weights >= floor]
        if above.sum(dtype=torch.float64) >= wanted:
            likely = above
            break
    likely = likely.sort(descending=True).values
    cumulative = likely.cumsum(-1, dtype=torch.float64)
    # As many tokens as have not reached the share before them.
    return likely[((cumulative - likely) < wanted).sum().clamp(min=1) - 1]
