"""Rows for which the model gave no number: marked on the device, so that the host reads nothing more than tokens."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from xylem.services.executor.failures import no_number
from xylem.services.executor.step.row import StepRow, fail_row

FAILED_ID = -2  # in place of a sampled token


def mark_failed(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Returns token_ids [B] with FAILED_ID where the row of logits [B, V] holds NaN or infinity.

    Minus infinity is a number here: a grammar or min_tokens has put it there.
    """
    return torch.where(logits.amax(-1) < float("inf"), token_ids, FAILED_ID)


def fail_marked(rows: Iterable[StepRow], token_ids: Sequence[int]) -> list[int]:
    """Fails the rows that are marked, and returns the tokens with 0 in place of a mark."""
    for row, token_id in zip(rows, token_ids, strict=False):
        if token_id == FAILED_ID:
            fail_row(row, no_number())
    return [max(token_id, 0) for token_id in token_ids]
