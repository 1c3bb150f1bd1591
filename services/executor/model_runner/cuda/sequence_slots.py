"""The state of running sequences in device memory, one slot each.

A sequence's slot is free when it has ended, and may be another's at once: work that still names it was given to the
device before whatever the next one does. Slot 0 belongs to no sequence: it stands in rows that pad a batch.
"""

from array import array
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.interface import SamplingBatch
from xylem.services.executor.model_runner.cuda.device import Device
from xylem.services.executor.step.row import StepRow
from xylem.shared.protocol import SamplingParams

PADDING_SLOT = 0


class SequenceSlots:
    """last_token: [S] int64, the token that was sampled last. tables: [S, P] int32, pages by position.

    dummy_page: the page that padding rows write to. What a table has after the pages of its sequence is some page.
    """

    def __init__(self, device: Device, *, num_slots: int, table_len: int, dummy_page: int) -> None:
        """num_slots: besides PADDING_SLOT. table_len: P, the pages of the longest sequence."""
        on = device.device
        self._device = device
        self._table_len = table_len
        self.last_token = torch.zeros(num_slots + 1, dtype=torch.int64, device=on)
        self.tables = torch.full((num_slots + 1, table_len), dummy_page, dtype=torch.int32, device=on)
        self._sampling = SamplingBatch.build(
            [SamplingParams(temperature=0.0)] * (num_slots + 1), on
        )  # padding is greedy
        # The page table whose pages a slot has (the array itself names the sequence), and how many of them.
        self._owners: list[array[int] | None] = [None] * (num_slots + 1)
        self._num_written = [0] * (num_slots + 1)

    def update_slots(self, rows: Sequence[StepRow]) -> None:
        """Uploads the sampling parameters of new sequences, and the pages that came since the last step."""
        newcomers: list[StepRow] = []
        entries: list[np.ndarray] = []
        for row in rows:
            slot, pages = row.slot, row.pages
            if self._owners[slot] is not pages:
                self._owners[slot], self._num_written[slot] = pages, 0
                newcomers.append(row)
            first, end = self._num_written[slot], min(len(pages), self._table_len)
            if end > first:
                places = np.arange(first, end)
                entries.append(np.stack((np.full_like(places, slot), places, pages[first:end]), axis=1))
                self._num_written[slot] = end
        if entries:
            slots, at, added = self._device.upload(np.concatenate(entries)).unbind(1)
            self.tables.index_put_((slots, at), added.to(torch.int32))
        if newcomers:
            self._introduce(newcomers)

    def _introduce(self, rows: Sequence[StepRow]) -> None:
        slots = self._device.upload(np.array([row.slot for row in rows], dtype=np.int64))
        self._sampling.put(slots, SamplingBatch.build([row.sampling for row in rows], self._device.device))

    def sampling_batch(self, slots: Tensor) -> SamplingBatch:
        """Returns the sampling parameters of the sequences in these slots [B]."""
        return self._sampling.take(slots)

    def fill_placeholders(self, token_ids: Tensor, slots: Tensor) -> Tensor:
        """Returns the token ids [T] with the last token of its slot in place of each PLACEHOLDER_ID. slots: [T]."""
        return torch.where(token_ids < 0, self.last_token[slots], token_ids)

    def store_last_tokens(self, token_ids: Tensor, slots: Tensor) -> None:
        """Stores the sampled tokens [B] as the last ones of their slots."""
        self.last_token.index_copy_(0, slots, token_ids)
