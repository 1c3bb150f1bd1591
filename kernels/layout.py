"""Which tokens of a step belong to which row, and where each row's KV lies in the pool."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Span:
    """Row i of a step: new tokens [first, first + num_new) of the T, KV of all its num_kv tokens at `slots`."""

    first: int
    num_new: int
    num_kv: int
    slots: np.ndarray  # [num_kv] int64

    @property
    def start(self) -> int:
        """Position of the first new token."""
        return self.num_kv - self.num_new


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of a step. positions, new_slots: [T] int64. Decoding rows have one new token each.

    prepared: what a backend has worked out from the spans, under a key of its own, so that the first layer of a step
    pays for it and the others do not.
    """

    spans: tuple[Span, ...]
    positions: Tensor
    new_slots: Tensor
    prepared: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(cls, rows: Sequence[tuple[int, int, Sequence[int]]], *, page_size: int, device: torch.device) -> "Layout":
        """From (start, num_new, page table) of each row; the page table covers start + num_new tokens."""
        spans: list[Span] = []
        positions: list[np.ndarray] = []
        first = 0
        within = np.arange(page_size, dtype=np.int64)
        for start, num_new, pages in rows:
            num_kv = start + num_new
            num_pages = -(-num_kv // page_size)
            table = np.asarray(pages, dtype=np.int64)[:num_pages]
            slots = (table[:, None] * page_size + within).reshape(-1)[:num_kv]
            spans.append(Span(first, num_new, num_kv, slots))
            positions.append(np.arange(start, num_kv, dtype=np.int64))
            first += num_new
        new_slots = [span.slots[span.start :] for span in spans]
        return cls(
            spans=tuple(spans),
            positions=torch.from_numpy(np.concatenate(positions)).to(device),
            new_slots=torch.from_numpy(np.concatenate(new_slots)).to(device),
        )
