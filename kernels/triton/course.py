"""The plan of a step that attention kernels need is worked out by its first layer and uploaded once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.batch_metadata import BatchMetadata, DeviceBatch, RowSpan
from xylem.kernels.triton.upload import upload


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows with several new tokens. blocks: [N, 2] int32, row and first of its new tokens of each block of queries."""

    rows: DeviceBatch
    blocks: Tensor


@dataclass(frozen=True, slots=True)
class TritonAttentionPlan:
    """The rows of a step by what becomes of them."""

    decoding: DeviceBatch | None
    reading: Reading | None


def course(layout: BatchMetadata, query_block: int, device: torch.device) -> TritonAttentionPlan:
    """Returns the plan of a step whose prompt chunks are read in blocks of query_block queries, for all layers."""
    if layout.decoding is not None:
        return TritonAttentionPlan(layout.decoding, None)
    key = ("triton", query_block)
    if key not in layout.prepared:
        decoding = [span for span in layout.spans if span.num_new == 1]
        reading = [span for span in layout.spans if span.num_new > 1]
        layout.prepared[key] = TritonAttentionPlan(
            _rows(decoding, device)[0] if decoding else None,
            _reading(reading, query_block, device) if reading else None,
        )
    found: TritonAttentionPlan = layout.prepared[key]
    return found


def _reading(spans: list[RowSpan], query_block: int, device: torch.device) -> Reading:
    blocks = [(row, start) for row, span in enumerate(spans) for start in range(0, span.num_new, query_block)]
    rows, [found] = _rows(spans, device, np.array(blocks, dtype=np.int32))
    return Reading(rows, found)


def _rows(spans: list[RowSpan], device: torch.device, *more: np.ndarray) -> tuple[DeviceBatch, list[Tensor]]:
    """The rows, and what else goes to the device in the same copy."""
    columns = np.array([(span.first, span.num_new, span.num_kv) for span in spans], dtype=np.int32).T
    pages = np.zeros((len(spans), max(len(span.pages) for span in spans)), dtype=np.int32)
    for row, span in zip(pages, spans, strict=True):
        row[: len(span.pages)] = span.pages
    firsts, nums_new, lengths, tables, *rest = upload([*columns, pages, *more], device)
    return DeviceBatch(firsts, nums_new, lengths, tables), rest
