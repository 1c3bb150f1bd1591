"""Decoding steps as CUDA graphs: hundreds of kernels are started as one.

    inputs [size, 3]   token, slot and position of each row: all that the host tells the device for a step
    plain              fill placeholders, forward pass, sample, store the tokens as the last ones
    forward            the first two of these, for steps whose sampling waits for the host
    token_ids [size]   the tokens that `plain` sampled
    logits [size, V]   the result of `forward`

Graphs of all sizes share their memory: one is done before the next begins. So the results of a step are only good until
the next one is launched.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.interface import BatchMetadata, DeviceBatch
from xylem.services.executor.kv_cache.pool import KvPool
from xylem.services.executor.model_runner.cuda.capture_sizes import capture_sizes, captured_size
from xylem.services.executor.model_runner.cuda.device import Device, Replay
from xylem.services.executor.model_runner.cuda.failed_rows import mark_failed
from xylem.services.executor.model_runner.cuda.sequence_slots import PADDING_SLOT, SequenceSlots
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.step.row import StepRow


class DecodeGraphs:
    """The graphs of all captured sizes. The largest is captured first, so that the others find room in its memory."""

    def __init__(
        self,
        model: LoadedModel,
        pool: KvPool,
        slots: SequenceSlots,
        device: Device,
        *,
        max_rows: int,
        progress: Callable[[int, int], None],
    ) -> None:
        """progress(graphs captured, graphs in all)."""
        self._model, self._pool, self._slots, self._device = model, pool, slots, device
        self._sizes = capture_sizes(max_rows)
        largest, on = self._sizes[-1], device.device
        self._inputs = torch.tensor([[0, PADDING_SLOT, 0]] * largest, dtype=torch.int64, device=on)
        self._logits = torch.zeros((largest, model.config.vocab_size), dtype=torch.float32, device=on)
        self._token_ids = torch.zeros(largest, dtype=torch.int64, device=on)
        self._plain: dict[int, Replay] = {}
        self._forward: dict[int, Replay] = {}
        for done, size in enumerate(reversed(self._sizes)):
            progress(2 * done, 2 * len(self._sizes))
            self._plain[size] = device.capture(lambda size=size: self._sample_plain(size))  # type: ignore[misc]
            progress(2 * done + 1, 2 * len(self._sizes))
            self._forward[size] = device.capture(lambda size=size: self._capture_logits(size))  # type: ignore[misc]
        progress(2 * len(self._sizes), 2 * len(self._sizes))

    def can_run(self, rows: Sequence[StepRow]) -> bool:
        """Whether a graph can run the step: one token a row, and neither prompt log probabilities nor pooling."""
        return len(rows) <= self._sizes[-1] and all(
            len(row.token_ids) == 1 and not row.targets and not row.pooling for row in rows
        )

    def sample(self, rows: Sequence[StepRow]) -> Tensor:
        """Runs the step and returns its sampled token ids [B]."""
        self._plain[self._upload_inputs(rows)]()
        return self._token_ids[: len(rows)]

    def compute_logits(self, rows: Sequence[StepRow]) -> Tensor:
        """Runs the forward pass and returns the logits [B, V] float32."""
        self._forward[self._upload_inputs(rows)]()
        return self._logits[: len(rows)]

    def _upload_inputs(self, rows: Sequence[StepRow]) -> int:
        """Uploads the inputs, and returns the captured size of the step."""
        size = captured_size(len(rows), self._sizes)
        assert size is not None
        inputs = np.zeros((size, 3), dtype=np.int64)  # padding: token 0 in PADDING_SLOT, at position 0
        inputs[: len(rows)] = [(row.token_ids[0], row.slot, row.start) for row in rows]
        self._inputs[:size].copy_(self._device.upload(inputs))
        return size

    # Below: the captured work.

    def _pass(self, size: int) -> Tensor:
        token_ids, slots, positions = self._inputs[:size].unbind(1)
        page_size, on = self._pool.page_size, self._device.device
        tables = self._slots.tables[slots]
        pages = tables.gather(1, (positions // page_size).unsqueeze(1)).squeeze(1).long()
        rows = torch.arange(size, device=on)
        layout = BatchMetadata(
            positions=positions,
            new_slots=pages * page_size + positions % page_size,
            page_size=page_size,
            decoding=DeviceBatch(
                firsts=rows.to(torch.int32),
                nums_new=torch.ones(size, dtype=torch.int32, device=on),
                lengths=(positions + 1).to(torch.int32),
                pages=tables,
            ),
        )
        token_ids = self._slots.fill_placeholders(token_ids, slots)
        return self._model.decoder.compute_logits(self._model.decoder.forward(token_ids, layout, self._pool, rows))

    def _capture_logits(self, size: int) -> None:
        self._logits[:size].copy_(self._pass(size))

    def _sample_plain(self, size: int) -> None:
        _, slots, positions = self._inputs[:size].unbind(1)
        logits = self._pass(size)
        sampled = self._model.ops.sample_on_device(logits, self._slots.sampling_batch(slots), positions + 1)
        self._slots.store_last_tokens(sampled, slots)
        self._token_ids[:size].copy_(mark_failed(logits, sampled))
