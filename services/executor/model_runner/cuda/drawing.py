"""Draws that the host has a say in."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from xylem.services.executor.model_runner.cuda.device import Device, Download
from xylem.services.executor.model_runner.cuda.slots import Slots
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.step.grammar_masks import GrammarMasks
from xylem.services.executor.step.row import StepRow


class HostSampler:
    """Bends logits, draws from them, and keeps the drawn tokens as the last ones."""

    def __init__(self, model: LoadedModel, slots: Slots, device: Device) -> None:
        self._model, self._slots, self._device = model, slots, device
        self._masks = GrammarMasks(model.config.vocab_size)

    def draw(self, logits: Tensor, rows: Sequence[StepRow]) -> Download:
        """One token per row, all of which have sample. logits: [B, V] float32; they are changed."""
        masks = self._masks.begin(rows)
        self._model.bend(logits, rows, None if masks is None else self._device.upload(masks.result().numpy()))
        slots = self._device.upload(np.array([row.slot for row in rows], dtype=np.int64))
        positions = self._device.upload(np.array([row.start + len(row.token_ids) for row in rows], dtype=np.int64))
        drawn = self._model.ops.sample_on_device(logits, self._slots.draws(slots), positions)
        self._slots.keep(drawn, slots)
        return self._device.download(drawn)
