"""Sampling after the host changed the logits."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from xylem.services.executor.model_runner.cuda.device import Device, Download
from xylem.services.executor.model_runner.cuda.failed_rows import mark_failed
from xylem.services.executor.model_runner.cuda.sequence_slots import SequenceSlots
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.step.grammar_masks import GrammarMasks
from xylem.services.executor.step.row import StepRow


class HostSampler:
    """Applies logits processors, samples, and stores the tokens as the last ones of their sequences."""

    def __init__(self, model: LoadedModel, slots: SequenceSlots, device: Device) -> None:
        self._model, self._slots, self._device = model, slots, device
        self._masks = GrammarMasks(model.config.vocab_size)

    def sample(self, logits: Tensor, rows: Sequence[StepRow]) -> Download:
        """Samples one token per row; all rows have `sample`. logits: [B, V] float32; they are changed."""
        masks = self._masks.start_filling(rows)
        self._model.apply_logits_processors(
            logits, rows, None if masks is None else self._device.upload(masks.result().numpy())
        )
        slots = self._device.upload(np.array([row.slot for row in rows], dtype=np.int64))
        positions = self._device.upload(np.array([row.start + len(row.token_ids) for row in rows], dtype=np.int64))
        token_ids = self._model.ops.sample_on_device(logits, self._slots.sampling_batch(slots), positions)
        self._slots.store_last_tokens(token_ids, slots)
        return self._device.download(mark_failed(logits, token_ids))
