"""Which tokens of a step belong to which row, and where each row's KV lies in the pool."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RowSpan:
    """Row i of a step: new tokens [first, first + num_new) of the T, KV of all num_kv tokens in `pages`, in order."""

    first: int
    num_new: int
    num_kv: int
    pages: np.ndarray  # [pages that num_kv tokens take] int32

    @property
    def start(self) -> int:
        """Position of the first new token."""
        return self.num_kv - self.num_new


@dataclass(frozen=True, slots=True)
class DeviceBatch:
    """Rows in device memory, where kernels read them: what is there when they run counts, not what was there before.

    firsts, nums_new, lengths: [B] int32, the first, num_new and num_kv of a Span. pages: [B, P] int32; what comes after
    the pages of a row's tokens must be some page, whichever.
    """

    firsts: Tensor
    nums_new: Tensor
    lengths: Tensor
    pages: Tensor


@dataclass(frozen=True)
class BatchMetadata:
    """Rows of a step. positions, new_slots: [T] int64. Decoding rows have one new token each.

    The slot of a token: its page x page_size + its place in it.

    rows: int32 [R, 4]: first, num_new and num_kv as in Span, and where its page table begins in `pages` (int32, the
    tables of all rows one after the other). decoding: in place of these, the rows of a step that only decodes, for a
    CUDA graph that is replayed while they go on. A row that pads the batch has the length 1 and a page that belongs to
    nobody.

    prepared: what a backend has worked out from them, under a key of its own, so that the first layer of a step pays
    for it and the others do not.
    """

    positions: Tensor
    new_slots: Tensor
    page_size: int
    rows: np.ndarray = field(default_factory=lambda: np.empty((0, 4), dtype=np.int32))
    pages: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    decoding: DeviceBatch | None = None
    prepared: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(
        cls, rows: Sequence[tuple[int, int, Sequence[int]]], *, page_size: int, device: torch.device
    ) -> "BatchMetadata":
        """From (start, num_new, page table) of each row; the page table covers start + num_new tokens."""
        table = array("i")
        pages = array("i")
        first = 0
        for start, num_new, of_row in rows:
            num_kv = start + num_new
            table.extend((first, num_new, num_kv, len(pages)))
            pages.extend(of_row[: -(-num_kv // page_size)])
            first += num_new
        row_table = np.frombuffer(table, dtype=np.int32).reshape(-1, 4)
        page_table = np.frombuffer(pages, dtype=np.int32)
        firsts, nums_new, nums_kv, first_pages = row_table.T
        positions = np.arange(first) + np.repeat(nums_kv - nums_new - firsts, nums_new)
        in_table, in_page = np.divmod(positions, page_size)
        new_slots = page_table[np.repeat(first_pages, nums_new) + in_table].astype(np.int64) * page_size + in_page
        return cls(
            rows=row_table,
            pages=page_table,
            positions=uploaded(positions, device),
            new_slots=uploaded(new_slots, device),
            page_size=page_size,
        )

    @cached_property
    def spans(self) -> tuple[RowSpan, ...]:
        """The rows one by one, for backends that go through them."""
        return tuple(
            RowSpan(first, num_new, num_kv, self.pages[page : page + -(-num_kv // self.page_size)])
            for first, num_new, num_kv, page in self.rows.tolist()
        )

    def slots(self, span: RowSpan) -> np.ndarray:
        """[num_kv] int64: where the KV of each token of a row lies."""
        within = np.arange(self.page_size, dtype=np.int64)
        return (span.pages[:, None].astype(np.int64) * self.page_size + within).reshape(-1)[: span.num_kv]


def uploaded(column: np.ndarray, device: torch.device) -> Tensor:
    """The same on a device. The host does not wait for the copy, and may change the array at once."""
    tensor = torch.from_numpy(column)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
