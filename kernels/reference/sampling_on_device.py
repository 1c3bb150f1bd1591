"""Drawing tokens of all rows at once, in steps that do not depend on any value: see sampling.py."""

import torch
from torch import Tensor

from xylem.kernels.reference.philox import uniform
from xylem.kernels.reference.sampling import COLDEST
from xylem.kernels.sampling_batch import SamplingBatch


def sample_on_device(logits: Tensor, draws: SamplingBatch, positions: Tensor) -> Tensor:
    """Shapes: see interface.py."""
    highest = logits.amax(-1, keepdim=True)
    weights = ((logits - highest) / draws.temperature.float().clamp(min=COLDEST).unsqueeze(1)).exp()
    kept = weights.masked_fill(weights < _edges(weights, draws), 0.0)
    cumulative = kept.cumsum(-1, dtype=torch.float64)
    wanted = uniform(draws.seed, positions).unsqueeze(1) * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, wanted).squeeze(1)
    certain = (draws.temperature == 0) | ~highest.squeeze(1).isfinite()  # greedy, or there are no weights
    return torch.where(certain, logits.argmax(-1), drawn)


def _edges(weights: Tensor, draws: SamplingBatch) -> Tensor:
    """[B, 1]: the smallest weight that top_k, top_p and min_p keep, in this order."""
    vocab_size = weights.shape[1]
    falling = weights.sort(-1, descending=True).values
    top_k = torch.where((draws.top_k > 0) & (draws.top_k < vocab_size), draws.top_k, vocab_size)
    edges = falling.gather(1, top_k.unsqueeze(1) - 1)
    top = falling.masked_fill(falling < edges, 0.0)
    cumulative = top.cumsum(-1, dtype=torch.float64)
    top_p = draws.top_p.unsqueeze(1)
    # As many as have not reached the share before them.
    fewest = ((cumulative - top < top_p * cumulative[:, -1:]) & (falling >= edges)).sum(-1, keepdim=True).clamp(min=1)
    edges = torch.where(top_p < 1.0, falling.gather(1, fewest - 1), edges)
    return edges.maximum(draws.min_p.float().unsqueeze(1)).clamp(max=1.0)
