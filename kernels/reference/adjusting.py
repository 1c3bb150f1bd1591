"""Penalties, biases, a grammar's mask and forbidden tokens, in place. A row's result depends on that row only."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.logits_adjustment import LogitsAdjustment

BITS = 32  # tokens in a word of a mask


def adjust(logits: Tensor, adjustments: Sequence[LogitsAdjustment | None], mask: Tensor | None) -> None:
    """Rows of logits [B, V] float32; what is done, and in which order: see interface.py."""
    adjustments = [each and each.within(logits.shape[1]) for each in adjustments]
    for row, adjustment in zip(logits, adjustments, strict=True):
        if adjustment is not None:
            _penalise(row, adjustment)
            row[_column(adjustment.bias_ids, row)] += _column(adjustment.bias_values, row)
    if mask is not None:
        logits.masked_fill_(~allowed(mask.to(logits.device), logits.shape[-1]), float("-inf"))
    for row, adjustment in zip(logits, adjustments, strict=True):
        if adjustment is not None:
            _forbid(row, _column(adjustment.forbidden_ids, row))


def allowed(mask: Tensor, vocab_size: int) -> Tensor:
    """[B, V] bool from int32 words [B, at least V/32]; token t is bit t % 32 of word t // 32."""
    bits = (mask.unsqueeze(-1) >> torch.arange(BITS, device=mask.device)) & 1
    return bits.flatten(1)[:, :vocab_size].bool()


def _column(values: np.ndarray, row: Tensor) -> Tensor:
    return torch.from_numpy(values.copy()).to(row.device)


def _penalise(row: Tensor, adjustment: LogitsAdjustment) -> None:
    seen, repetition = _column(adjustment.seen_ids, row), adjustment.repetition
    row[seen] = torch.where(row[seen] > 0, row[seen] / repetition, row[seen] * repetition)
    counts = _column(adjustment.output_counts, row)
    row[_column(adjustment.output_ids, row)] -= counts * adjustment.frequency + adjustment.presence


def _forbid(row: Tensor, ids: Tensor) -> None:
    """Unless nothing else is left: a grammar at its end allows only what ends the sequence, and that goes first."""
    if len(ids) == 0:
        return
    before = row[ids]
    row[ids] = float("-inf")
    if row.max() == float("-inf"):
        row[ids] = before
