"""Penalties, biases, masks and forbidden tokens in numpy, whose small gathers cost a tenth of torch's."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from xylem.kernels.logits_adjustment import LogitsAdjustment

# [256, 8] float32: what the logits of eight tokens are limited to by a byte of a mask. Infinity limits nothing.
LIMITS = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little") > 0,
    np.float32(np.inf),
    np.float32(-np.inf),
)
BITS = 32


def adjust(logits: Tensor, adjustments: Sequence[LogitsAdjustment | None], mask: Tensor | None) -> None:
    """Shapes and order: see interface.py."""
    rows = logits.numpy()
    limits = _Limits(rows.shape[1])
    masks: Sequence[np.ndarray | None] = [None] * len(rows) if mask is None else list(mask.numpy())
    for row, adjustment, words in zip(rows, adjustments, masks, strict=True):
        if adjustment is not None:
            adjustment = adjustment.within(len(row))
            _penalise(row, adjustment)
            row[adjustment.bias_ids] += adjustment.bias_values
        if words is not None:
            limits.impose(row, words)
        if adjustment is not None and len(adjustment.forbidden_ids) > 0:
            _forbid(row, adjustment.forbidden_ids)


class _Limits:
    """Applies a mask to a row [V]. The buffer is as long as a row, so that it stays in the cache between rows."""

    def __init__(self, vocab_size: int) -> None:
        self._num_words = -(-vocab_size // BITS)
        self._limits = np.empty((self._num_words * BITS // 8, 8), dtype=np.float32)
        self._of_row = self._limits.reshape(-1)[:vocab_size]

    def impose(self, row: np.ndarray, words: np.ndarray) -> None:
        words = words[: self._num_words]
        if (words == -1).all():
            return
        np.take(LIMITS, words.view(np.uint8), axis=0, out=self._limits, mode="clip")  # "raise" would copy
        np.minimum(row, self._of_row, out=row)


def _penalise(row: np.ndarray, adjustment: LogitsAdjustment) -> None:
    if adjustment.repetition != 1.0:
        seen, repetition = row[adjustment.seen_ids], np.float32(adjustment.repetition)
        row[adjustment.seen_ids] = np.where(seen > 0, seen / repetition, seen * repetition)
    if adjustment.frequency != 0.0 or adjustment.presence != 0.0:
        falls = adjustment.output_counts * np.float32(adjustment.frequency) + np.float32(adjustment.presence)
        row[adjustment.output_ids] -= falls


def _forbid(row: np.ndarray, ids: np.ndarray) -> None:
    before = row[ids]
    row[ids] = -np.inf
    if row.max() == -np.inf:  # nothing else is left: see interface.py
        row[ids] = before
