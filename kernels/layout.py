"""Which tokens of a step belong to which row, and where each row's KV lies in the pool."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Span:
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
class Rows:
    """Rows in device memory, where kernels read them: what is there when they run counts, not what was there before.

    firsts, nums_new, lengths: [B] int32, the first, num_new and num_kv of a Span. pages: [B, P] int32; what comes after
    the pages of a row's tokens must be some page, whichever.
    """

    firsts: Tensor
    nums_new: Tensor
    lengths: Tensor
    pages: Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of a step. positions, new_slots: [T] int64. Decoding rows have one new token each.

    The slot of a token: its page x page_size + its place in it.

    decoding: in place of spans, the rows of a step that only decodes, for a CUDA graph that is replayed while they go
    on. A row that pads the batch has the length 1 and a page that belongs to nobody.

    prepared: what a backend has worked out from the spans, under a key of its own, so that the first layer of a step
    pays for it and the others do not.
    """

    spans: tuple[Span, ...]
    positions: Tensor
    new_slots: Tensor
    page_size: int
    decoding: Rows | None = None
    prepared: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(cls, rows: Sequence[tuple[int, int, Sequence[int]]], *, page_size: int, device: torch.device) -> "Layout":
        """From (start, num_new, page table) of each row; the page table covers start + num_new tokens."""
        spans: list[Span] = []
        positions: list[np.ndarray] = []
        new_slots: list[np.ndarray] = []
        first = 0
        for start, num_new, pages in rows:
            num_kv = start + num_new
            table = np.asarray(pages, dtype=np.int32)[: -(-num_kv // page_size)]
            spans.append(Span(first, num_new, num_kv, table))
            new = np.arange(start, num_kv, dtype=np.int64)
            positions.append(new)
            new_slots.append(table[new // page_size].astype(np.int64) * page_size + new % page_size)
            first += num_new
        return cls(
            spans=tuple(spans),
            positions=uploaded(np.concatenate(positions), device),
            new_slots=uploaded(np.concatenate(new_slots), device),
            page_size=page_size,
        )

    def slots(self, span: Span) -> np.ndarray:
        """[num_kv] int64: where the KV of each token of a row lies."""
        within = np.arange(self.page_size, dtype=np.int64)
        return (span.pages[:, None].astype(np.int64) * self.page_size + within).reshape(-1)[: span.num_kv]


def uploaded(column: np.ndarray, device: torch.device) -> Tensor:
    """The same on a device. The host does not wait for the copy, and may change the array at once."""
    here = torch.from_numpy(column)
    if device.type == "cuda":
        here = here.pin_memory()
    return here.to(device, non_blocking=True)
