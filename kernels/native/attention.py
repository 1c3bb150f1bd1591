import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata
from xylem.kernels.cpu.attention import attention as cpu_attention
from xylem.kernels.native.library import ELEMENTS, address, kernel

# As in source/attention.h and attention.c.
SPLIT = 256
TILE = 16
BLOCK = 256
WIDTH_STEP = 32
VECTOR = 16  # what the dimensions of a head have to be a multiple of

_attention = kernel("attention", "ppppp")


class _AttentionStep(ctypes.Structure):
    """The `step` of source/attention.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("rows", "pages", "items", "merges", "partials")),
        *((name, ctypes.c_int64) for name in ("num_items", "num_whole", "num_merges", "num_met")),
        *((name, ctypes.c_int64) for name in ("page_size", "num_heads", "num_kv_heads", "dim", "window")),
        *((name, ctypes.c_float) for name in ("scale", "cap", "capped_scale")),
        ("is_bf16", ctypes.c_int32),
    )


@dataclass(frozen=True, slots=True)
class NativeAttentionPlan:
    """A step and the memory that it points to. at: where a kernel finds it."""

    step: _AttentionStep
    memory: tuple[Any, ...]
    at: int


def attention(query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind) -> Tensor:
    """Shapes: see interface.py."""
    num_heads, dim = query.shape[1:]
    if dim % VECTOR or query.dtype not in ELEMENTS or layout.decoding is not None:
        return cpu_attention(query, keys, values, layout, kind)
    at = course(layout, query.dtype, num_heads, keys.shape[1], dim, kind).at
    out = torch.empty_like(query)
    _attention(at, address(query), address(keys), address(values), address(out))
    return out


def course(
    layout: BatchMetadata, dtype: torch.dtype, num_heads: int, num_kv_heads: int, dim: int, kind: AttentionKind
) -> NativeAttentionPlan:
    """Divides the work of a step among threads, for all layers of a kind; the first of them makes it."""
    key = (course, dtype, num_heads, num_kv_heads, dim, kind)
    found = layout.prepared.get(key)
    if found is None:
        found = _course(layout, num_heads, num_kv_heads, dim, kind.window or 0)
        found.step.scale, found.step.is_bf16 = kind.scale * math.log2(math.e), ELEMENTS[dtype]
        if kind.cap is not None:
            found.step.cap, found.step.capped_scale = kind.cap * math.log2(math.e), kind.scale / kind.cap
        layout.prepared[key] = found
    return found


def _course(layout: BatchMetadata, num_heads: int, num_kv_heads: int, dim: int, window: int) -> NativeAttentionPlan:
    """All of it but the arithmetic.

    The query rows of a token are its heads of one group. Rows of a step whose query rows fit into one tile have their
    keys split, others their query rows; of these the longest go first, so that threads end together.
    """
    _, num_new, num_kv, _ = layout.rows.T
    group = num_heads // num_kv_heads
    oldest = np.maximum(num_kv - num_new + 1 - window, 0) if window else np.zeros_like(num_kv)
    num_splits = -(-num_kv // SPLIT) - oldest // SPLIT
    splits = num_new * group <= TILE
    whole, split = np.flatnonzero(~splits), np.flatnonzero(splits)
    blocks = _items(whole, -(-num_new[whole] * group // BLOCK))
    last_seen = (num_kv - num_new)[blocks[:, 0]] + (blocks[:, 1] + 1) * BLOCK // group
    items = np.concatenate((blocks[np.argsort(-last_seen)], _items(split, num_splits[split])))
    merges = np.stack((split, np.cumsum(num_splits[split]) - num_splits[split], num_splits[split]), axis=1)
    merges = merges.astype(np.int32)
    width = -(-dim // WIDTH_STEP) * WIDTH_STEP
    partials = torch.empty((len(items) - len(blocks)) * num_kv_heads * TILE * (width + 2), dtype=torch.float32)
    step = _AttentionStep(
        rows=layout.rows.ctypes.data,
        pages=layout.pages.ctypes.data,
        items=items.ctypes.data,
        merges=merges.ctypes.data,
        partials=partials.data_ptr(),
        num_items=len(items),
        num_whole=len(blocks),
        num_merges=len(merges),
        num_met=int(num_kv @ num_new.astype(np.int64)) * num_heads,
        page_size=layout.page_size,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        dim=dim,
        window=window,
    )
    return NativeAttentionPlan(step, (layout.rows, layout.pages, items, merges, partials), ctypes.addressof(step))


def _items(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[sum of counts, 2] int32: each row as often as its count says, with a running number."""
    ends = np.cumsum(counts)
    parts = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
    return np.stack((np.repeat(rows, counts), parts), axis=1).astype(np.int32)
