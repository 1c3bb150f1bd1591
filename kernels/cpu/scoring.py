"""Log probabilities on a CPU: one pass for the sum, and the likeliest without sorting all."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from xylem.kernels.cpu.peaks import Peaks
from xylem.kernels.cpu.weights import weights
from xylem.kernels.token_logprobs import RowLogprobs, bounded


@bounded
def score(
    logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
) -> list[RowLogprobs]:
    """Shapes: see interface.py."""
    scratch = np.empty(logits.shape[1], dtype=np.float32)
    return [_score(*row, scratch) for row in zip(logits.numpy(), tokens, num_top, asked, strict=True)]


def _score(row: np.ndarray, token: int, num_top: int, asked: Sequence[int], scratch: np.ndarray) -> RowLogprobs:
    peaks = Peaks(row)
    sum_of_all = np.log(weights(row, peaks.highest, 1.0, scratch).sum())
    top_ids = _top(row, peaks, num_top) if num_top else []
    ids = [token, *top_ids, *asked]
    log_probs: list[float] = (row[ids] - peaks.highest - sum_of_all).tolist()
    return RowLogprobs(log_probs[0], top_ids, log_probs[1 : 1 + len(top_ids)], log_probs[1 + len(top_ids) :])


def _top(row: np.ndarray, peaks: Peaks, count: int) -> list[int]:
    """Ids of the highest logits, highest first, equals by the lower id."""
    ids = peaks.at_least(peaks.reached_by(count))
    top: list[int] = ids[np.argsort(-row[ids], kind="stable")[:count]].tolist()
    return top
