"""The model runner of a GPU: launches steps, and returns before the device has run them."""

from array import array
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.services.executor.kv_cache.page_budget import page_bytes, pages_in_bytes, pages_in_device
from xylem.services.executor.model_runner.cuda.decode_graphs import DecodeGraphs
from xylem.services.executor.model_runner.cuda.device import Device
from xylem.services.executor.model_runner.cuda.host_sampler import HostSampler
from xylem.services.executor.model_runner.cuda.in_flight_steps import PendingSample, PendingTokens
from xylem.services.executor.model_runner.cuda.sequence_slots import PADDING_SLOT, SequenceSlots
from xylem.services.executor.model_runner.cuda.warm_up import warm_up
from xylem.services.executor.model_runner.loaded_model import HiddenStates, LoadedModel
from xylem.services.executor.models.decoder import token_tensor
from xylem.services.executor.step.row import PLACEHOLDER_ID, StepRow
from xylem.services.executor.step.runner_interface import InFlightStep
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.protocol import SamplingParams


class CudaModelRunner:
    """A model with its KV pool, one step ahead of the engine."""

    runs_ahead = True

    @torch.inference_mode()
    def __init__(
        self,
        model: LoadedModel,
        device: Device,
        *,
        page_size: int,
        max_running: int,
        token_budget: int,
        context_length: int,
        num_pages: int = 0,
        kv_bytes: int = 0,
        memory_fraction: float = 0.9,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """num_pages 0 allocates the pages that kv_bytes holds, kv_bytes 0 those that fit into memory_fraction.

        progress(graphs captured, graphs in all). Raises ModelError when there is no room.
        """
        self._model, self._device = model, device
        self.page_size = page_size
        self.vocab_size = model.config.vocab_size
        self.has_head = model.decoder.has_head
        if not num_pages and kv_bytes:
            num_pages = pages_in_bytes(kv_bytes, self._page_bytes())
        self.num_pages = num_pages or self._fitting_pages(token_budget, context_length, max_running, memory_fraction)
        try:
            self._prepare(token_budget, context_length, max_running, progress)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.num_pages} pages (kv_pages, kv_bytes or memory_fraction) leave too little memory for steps "
                f"(token_budget, max_running): {error}"
            ) from None

    def _prepare(
        self, token_budget: int, context_length: int, max_running: int, progress: Callable[[int, int], None]
    ) -> None:
        """Allocates the memory, and runs every kind of step once."""
        model, device = self._model, self._device
        self._pool = model.new_pool(self.num_pages + 1, self.page_size)  # the last page is for rows that pad a batch
        table_len = min(self.num_pages, -(-context_length // self.page_size))
        self._slots = SequenceSlots(device, num_slots=max_running, table_len=table_len, dummy_page=self.num_pages)
        self._sampler = HostSampler(model, self._slots, device)
        warm_up(model, self._pool, page=self.num_pages, token_budget=token_budget, context_length=context_length)
        self._graphs = DecodeGraphs(model, self._pool, self._slots, device, max_rows=max_running, progress=progress)

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def launch_step(self, rows: Sequence[StepRow]) -> InFlightStep:
        """Launches decoding steps as graphs, which also sample where the host has no part in it; others as kernels."""
        self._slots.update_slots(rows)
        if not self._graphs.can_run(rows):
            states = self._model.forward(rows, self._token_ids(rows), self._pool)
            sampling = [row for row in rows if row.sample]
            return self._pending_sample(rows, sampling, self._model.compute_logits(rows, states), states)
        if any(row.logits_processor is not None or row.logprobs is not None for row in rows):
            return self._pending_sample(rows, rows, self._graphs.compute_logits(rows), None)
        return PendingTokens(rows, self._device.download(self._graphs.sample(rows)))

    def _pending_sample(
        self, rows: Sequence[StepRow], sampling: Sequence[StepRow], logits: Tensor, states: HiddenStates | None
    ) -> PendingSample:
        return PendingSample(
            self._model, self._device, self._sampler, rows=rows, sampling=sampling, logits=logits, states=states
        )

    def _token_ids(self, rows: Sequence[StepRow]) -> Tensor:
        """Returns [T], with the placeholders filled in."""
        token_ids = token_tensor([token for row in rows for token in row.token_ids], self._device.device)
        if all(row.token_ids[0] != PLACEHOLDER_ID for row in rows):
            return token_ids
        slots = np.repeat([row.slot for row in rows], [len(row.token_ids) for row in rows])
        return self._slots.fill_placeholders(token_ids, self._device.upload(slots))

    def _fitting_pages(self, token_budget: int, context_length: int, max_running: int, memory_fraction: float) -> int:
        """Returns the pages that fit beside the largest step, which is run to measure its memory."""
        model, page_size = self._model, self.page_size
        self._device.release()
        try:
            pool = model.new_pool(-(-min(token_budget, context_length) // page_size), page_size)
            allocated = self._device.memory().allocated
            # Prompts as long as they can be, all in the same pages: what they find there does not matter.
            lengths = [min(context_length, token_budget - first) for first in range(0, token_budget, context_length)]
            pages = array("i", range(pool.num_pages))
            rows = [StepRow([0] * length, 0, pages, True, SamplingParams()) for length in lengths]
            states = model.forward(rows, self._token_ids(rows), pool)
            logits = model.decoder.compute_logits(states.tensor[:1].expand(max_running, -1))
            slots = SequenceSlots(self._device, num_slots=0, table_len=1, dummy_page=0)
            padding = torch.full((max_running,), PADDING_SLOT, device=self._device.device)
            model.ops.sample_on_device(logits, slots.sampling_batch(padding), padding)
        except torch.OutOfMemoryError as error:
            raise ModelError(f"a step of {token_budget} tokens (token_budget) is too large: {error}") from None
        step_bytes = self._device.memory().peak - allocated
        del pool, states, logits
        self._device.release()
        # Measured afterwards: memory that libraries have loaded for the step stays taken.
        memory, each_bytes = self._device.memory(), self._page_bytes()
        return pages_in_device(memory, each_bytes, step_bytes=step_bytes, fraction=memory_fraction)

    def _page_bytes(self) -> int:
        return page_bytes(self._model.config, page_size=self.page_size, dtype=self._model.dtype)
