"""Drawing tokens from logits. A row's draw depends on its own logits and parameters only, never on the batch."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from kernels.philox import uniform

LIKELY = 1024  # tokens among which a nucleus is looked for first


class Draw(Protocol):
    """How one row is drawn. temperature 0 is greedy; top_k 0 keeps all; seed and the row's position fix the number."""

    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def min_p(self) -> float: ...
    @property
    def seed(self) -> int: ...


def sample(logits: Tensor, draws: Sequence[Draw], positions: Sequence[int]) -> list[int]:
    """One token per row of logits [B, V]; positions: index in its sequence of each token to be drawn."""
    tokens = logits.argmax(-1)
    chosen = [i for i, draw in enumerate(draws) if draw.temperature > 0]
    if chosen:
        device = logits.device
        seeds = torch.tensor([draws[i].seed for i in chosen], dtype=torch.int64, device=device)
        numbers = uniform(seeds, torch.tensor([positions[i] for i in chosen], dtype=torch.int64, device=device))
        for row, i in enumerate(chosen):
            tokens[i] = _draw(logits[i], draws[i], numbers[row])
    result: list[int] = tokens.tolist()
    return result


def _draw(logits: Tensor, draw: Draw, number: Tensor) -> Tensor:
    """Inverse of the cumulative distribution over what top_k, top_p and min_p keep, in the order of token ids.

    The three cut in this order, each on what the one before has left (as transformers' warpers do); equals of the last
    kept probability are kept too.
    """
    wide = logits.double() / draw.temperature
    if 0 < draw.top_k < wide.numel():
        wide = wide.masked_fill(wide < wide.topk(draw.top_k).values[-1], float("-inf"))
    probabilities = wide.softmax(-1)
    if draw.top_p < 1.0:
        probabilities = probabilities * (probabilities >= _nucleus_edge(probabilities, draw.top_p))
    if draw.min_p > 0.0:
        probabilities = probabilities * (probabilities >= draw.min_p * probabilities.max())
    cumulative = probabilities.cumsum(-1)
    index = torch.searchsorted(cumulative, number * cumulative[-1], right=True)
    # Rounding may carry the product up to the sum itself: then the last token with a probability is meant.
    return torch.minimum(index, probabilities.nonzero()[-1, 0])


def _nucleus_edge(probabilities: Tensor, top_p: float) -> Tensor:
    """The smallest probability of the fewest tokens that reach top_p together (Holtzman et al. 2020)."""
    num_likely = min(LIKELY, probabilities.numel())
    likely = probabilities.topk(num_likely).values
    if likely.sum() < top_p:  # a flat distribution: only then all of the vocabulary is sorted
        likely = probabilities.sort(descending=True).values
    before = likely.cumsum(-1) - likely
    return likely[(before < top_p).sum().clamp(min=1) - 1]
