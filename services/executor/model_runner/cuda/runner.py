"""Rows of a step in, a flight out: what the device has still to do for it."""

from array import array
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.services.executor.kv_cache.page_budget import page_bytes, pages_in_bytes, pages_in_device
from xylem.services.executor.model_runner.cuda.decoding import DecodeGraphs
from xylem.services.executor.model_runner.cuda.device import Device
from xylem.services.executor.model_runner.cuda.drawing import HostSampler
from xylem.services.executor.model_runner.cuda.flights import PendingSample, PendingTokens
from xylem.services.executor.model_runner.cuda.slots import NOBODY, Slots
from xylem.services.executor.model_runner.cuda.warming import warm_up
from xylem.services.executor.model_runner.loaded_model import LoadedModel, States
from xylem.services.executor.models.decoder import token_tensor
from xylem.services.executor.step.row import AWAITED, StepRow
from xylem.services.executor.step.runner_interface import InFlightStep
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.protocol import SamplingParams


class CudaModelRunner:
    """A model with its KV pool, one step ahead of who asks for steps."""

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
        """num_pages 0 takes as many pages as kv_bytes holds, and kv_bytes 0 what memory_fraction of the device leaves.

        progress(graphs captured, graphs in all). Raises ModelError when there is no room.
        """
        self._model, self._device = model, device
        self.page_size = page_size
        self.vocab_size = model.config.vocab_size
        if not num_pages and kv_bytes:
            num_pages = pages_in_bytes(kv_bytes, self._page_bytes())
        self.num_pages = num_pages or self._pages_left(token_budget, context_length, max_running, memory_fraction)
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
        """Takes the memory, and meets every kind of step once."""
        model, device = self._model, self._device
        self._pool = model.new_pool(self.num_pages + 1, self.page_size)  # the last page is for rows that pad a batch
        table_len = min(self.num_pages, -(-context_length // self.page_size))
        self._slots = Slots(device, num_slots=max_running, table_len=table_len, dummy_page=self.num_pages)
        self._drawer = HostSampler(model, self._slots, device)
        warm_up(model, self._pool, page=self.num_pages, token_budget=token_budget, context_length=context_length)
        self._graphs = DecodeGraphs(model, self._pool, self._slots, device, max_rows=max_running, progress=progress)

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def launch(self, rows: Sequence[StepRow]) -> InFlightStep:
        """Decoding goes by graphs, with their draws where nothing bends or scores them; all else kernel by kernel."""
        self._slots.update(rows)
        if not self._graphs.takes(rows):
            states = self._model.read(rows, self._token_ids(rows), self._pool)
            drawing = [row for row in rows if row.sample]
            return self._passed(rows, drawing, self._model.logits(rows, states), states)
        if any(row.shaping is not None or row.scoring is not None for row in rows):
            return self._passed(rows, rows, self._graphs.logits(rows), None)
        return PendingTokens(rows, self._device.download(self._graphs.draw(rows)))

    def _passed(
        self, rows: Sequence[StepRow], drawing: Sequence[StepRow], logits: Tensor, states: States | None
    ) -> PendingSample:
        return PendingSample(
            self._model, self._device, self._drawer, rows=rows, drawing=drawing, logits=logits, states=states
        )

    def _token_ids(self, rows: Sequence[StepRow]) -> Tensor:
        """[T], with those filled in that only the device knows."""
        token_ids = token_tensor([token for row in rows for token in row.token_ids], self._device.device)
        if all(row.token_ids[0] != AWAITED for row in rows):
            return token_ids
        slots = np.repeat([row.slot for row in rows], [len(row.token_ids) for row in rows])
        return self._slots.known(token_ids, self._device.upload(slots))

    def _pages_left(self, token_budget: int, context_length: int, max_running: int, memory_fraction: float) -> int:
        """Pages for which there is room, after a try of the largest step."""
        model, page_size = self._model, self.page_size
        self._device.release()
        try:
            pool = model.new_pool(-(-min(token_budget, context_length) // page_size), page_size)
            allocated = self._device.memory().allocated
            # Prompts as long as they can be, all in the same pages: what they find there does not matter.
            lengths = [min(context_length, token_budget - first) for first in range(0, token_budget, context_length)]
            pages = array("i", range(pool.num_pages))
            rows = [StepRow([0] * length, 0, pages, True, SamplingParams()) for length in lengths]
            states = model.read(rows, self._token_ids(rows), pool)
            logits = model.decoder.logits(states.tensor[:1].expand(max_running, -1))
            slots = Slots(self._device, num_slots=0, table_len=1, dummy_page=0)
            nobodys = torch.full((max_running,), NOBODY, device=self._device.device)
            model.ops.sample_on_device(logits, slots.draws(nobodys), nobodys)
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
