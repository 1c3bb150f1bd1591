"""Wrappers of FlashInfer and their plans: one wrapper for each kind of layer, one plan of it for each step."""

import functools
from dataclasses import dataclass, field
from typing import Any

import flashinfer
import numpy as np
import torch
from torch import Tensor

from xylem.kernels.batch_metadata import BatchMetadata

WORKSPACE_BYTES = 128 << 20  # what FlashInfer recommends
# Query heads for each key-value head from which multiplying them at once pays.
TENSOR_CORE_GROUP = 4


@dataclass(frozen=True, slots=True)
class LayerKind:
    """Names what a plan is made and its kernel compiled for. decodes: every row has one new token."""

    decodes: bool
    num_heads: int
    num_kv_heads: int
    head_dim: int
    page_size: int
    window: int | None
    scale: float
    dtype: torch.dtype
    device: torch.device


@dataclass(slots=True)
class Wrapper:
    """A wrapper and when the device has copied its last plan, which lies in memory that the next one overwrites."""

    inner: Any
    copied: torch.cuda.Event | None = field(default=None)


def planned(layout: BatchMetadata, kind: LayerKind) -> Any:
    """FlashInfer's wrapper with the plan of a step; the first layer of its kind makes it."""
    key = ("flashinfer", kind)
    if key not in layout.prepared:
        layout.prepared[key] = _plan(layout, kind)
    return layout.prepared[key]


def _plan(layout: BatchMetadata, kind: LayerKind) -> Any:
    wrapper = _wrapper(kind)
    if wrapper.copied is not None:
        wrapper.copied.synchronize()
    num_pages = [len(span.pages) for span in layout.spans]
    page_ends = _column(np.cumsum([0, *num_pages]))
    pages = _column(np.concatenate([span.pages for span in layout.spans]))
    in_last_page = _column(np.array([(span.num_kv - 1) % kind.page_size + 1 for span in layout.spans]))
    told = {
        "window_left": -1 if kind.window is None else kind.window - 1,  # without the token itself
        "sm_scale": kind.scale,
        "q_data_type": kind.dtype,
        "kv_data_type": kind.dtype,
    }
    sizes = (kind.num_heads, kind.num_kv_heads, kind.head_dim, kind.page_size)
    if kind.decodes:
        wrapper.inner.plan(page_ends, pages, in_last_page, *sizes, **told)
    else:
        query_ends = _column(np.cumsum([0, *(span.num_new for span in layout.spans)]))
        wrapper.inner.plan(query_ends, page_ends, pages, in_last_page, *sizes, causal=True, **told)
    if kind.device.type == "cuda":
        wrapper.copied = torch.cuda.Event()
        wrapper.copied.record()
    return wrapper.inner


def _column(values: np.ndarray) -> Tensor:
    """On the host, where plans are made."""
    return torch.from_numpy(values.astype(np.int32))


@functools.cache
def _wrapper(kind: LayerKind) -> Wrapper:
    """fa2 is told, because what "auto" takes on an sm_90 was reported to be slower for such steps."""
    workspace = _workspace(kind.device)
    if kind.decodes:
        at_once = kind.num_heads // kind.num_kv_heads >= TENSOR_CORE_GROUP
        return Wrapper(flashinfer.BatchDecodeWithPagedKVCacheWrapper(workspace, "NHD", use_tensor_cores=at_once))
    return Wrapper(flashinfer.BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD", backend="fa2"))


@functools.cache
def _workspace(device: torch.device) -> Tensor:
    """Shared by all wrappers: kernels of one stream use it one after the other. FlashInfer wants it zero at first."""
    return torch.zeros(WORKSPACE_BYTES, dtype=torch.uint8, device=device)
