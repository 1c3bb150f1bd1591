"""Grammar masks of a step, made beside its forward pass."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from xylem.services.executor.step.row import StepRow, fail_row

BITS = 32
ALL_ALLOWED = -1


class GrammarMasks:
    """Fills bitmasks in a thread of its own: torch and xgrammar leave the interpreter to others while they work."""

    def __init__(self, vocab_size: int) -> None:
        self._num_words = -(-vocab_size // BITS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def start_filling(self, rows: Sequence[StepRow]) -> "Future[Tensor] | None":
        """int32 [len(rows), V / 32], a set bit for each allowed token; None when no row has a grammar."""
        if all(row.logits_processor is None or row.logits_processor.matcher is None for row in rows):
            return None
        return self._thread.submit(self._fill, rows)

    def _fill(self, rows: Sequence[StepRow]) -> Tensor:
        mask = torch.full((len(rows), self._num_words), ALL_ALLOWED, dtype=torch.int32)
        for index, row in enumerate(rows):
            if row.logits_processor is not None and row.logits_processor.matcher is not None:
                try:
                    row.logits_processor.matcher.fill_mask(mask, index)
                except Exception as error:
                    fail_row(row, error)
                    mask[index] = ALL_ALLOWED
        return mask
