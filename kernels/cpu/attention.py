"""Paged attention on a CPU through torch's fused scaled_dot_product_attention.

Decoding rows of similar length share one padded gather; the queries of a group of heads stand in for query positions,
so that no key is repeated. Prompt chunks go one by one. Who goes with whom is worked out once per step, not per layer.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata, RowSpan
from xylem.kernels.reference.attention import attention as reference_attention

# Rows are padded together while the longest is at most this much longer than the shortest.
MAX_STRETCH = 1.5
SMALL = 64  # below this many keys padding costs less than another call


@dataclass(frozen=True, slots=True)
class LengthBucket:
    """Decoding rows that go together. rows: [B]; slots: [B x longest], row after row; mask: [B, 1, 1, longest]."""

    rows: Tensor
    slots: Tensor
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class QueryChunk:
    """Part of a prompt. slots: [seen]; mask: [new, seen], or None when plain causality says it."""

    rows: slice
    slots: Tensor
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class CpuAttentionPlan:
    """Plans what one step does in every layer of one window."""

    buckets: tuple[LengthBucket, ...]
    chunks: tuple[QueryChunk, ...]


def attention(query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind) -> Tensor:
    """Shapes: see interface.py. torch's fused attention knows no cap."""
    if layout.decoding is not None or kind.cap is not None:
        return reference_attention(query, keys, values, layout, kind)
    course = layout.prepared.get((kind.window, query.dtype))
    if course is None:
        course = layout.prepared[kind.window, query.dtype] = _course(layout, kind.window, query.dtype)
    output = torch.empty_like(query)
    for bucket in course.buckets:
        _decode(output, query, keys, values, bucket, scale=kind.scale)
    for chunk in course.chunks:
        _read(output, query, keys, values, chunk, scale=kind.scale)
    return output


def _gather(pool: Tensor, slots: Tensor) -> Tensor:
    """[len(slots), K, D]. index_select on flat rows copies whole rows; pool[slots] takes six times as long."""
    return pool.view(len(pool), -1).index_select(0, slots).view(len(slots), *pool.shape[1:])


def _decode(output: Tensor, query: Tensor, keys: Tensor, values: Tensor, bucket: LengthBucket, *, scale: float) -> None:
    num_rows, num_kv_heads = len(bucket.rows), keys.shape[1]
    padded = (num_rows, -1, *keys.shape[1:])
    key = _gather(keys, bucket.slots).view(padded).transpose(1, 2)  # [B, K, longest, D]
    value = key if values is keys else _gather(values, bucket.slots).view(padded).transpose(1, 2)
    grouped = query.index_select(0, bucket.rows).view(num_rows, num_kv_heads, -1, query.shape[-1])  # [B, K, H/K, D]
    attended = F.scaled_dot_product_attention(grouped, key, value, attn_mask=bucket.mask, scale=scale)
    output.index_copy_(0, bucket.rows, attended.flatten(1, 2))


def _read(output: Tensor, query: Tensor, keys: Tensor, values: Tensor, chunk: QueryChunk, *, scale: float) -> None:
    key = _gather(keys, chunk.slots).transpose(0, 1).unsqueeze(0)  # [1, K, seen, D]
    value = key if values is keys else _gather(values, chunk.slots).transpose(0, 1).unsqueeze(0)
    asked = query[chunk.rows].transpose(0, 1).unsqueeze(0)  # [1, H, new, D]
    attended = F.scaled_dot_product_attention(
        asked, key, value, attn_mask=chunk.mask, is_causal=chunk.mask is None, scale=scale, enable_gqa=True
    )
    output[chunk.rows] = attended.squeeze(0).transpose(0, 1)


def _course(layout: BatchMetadata, window: int | None, dtype: torch.dtype) -> CpuAttentionPlan:
    decoding = [span for span in layout.spans if span.num_new == 1]
    return CpuAttentionPlan(
        buckets=tuple(_bucket(layout, spans, window, dtype) for spans in _similar(decoding)),
        chunks=tuple(_chunk(layout, span, window, dtype) for span in layout.spans if span.num_new > 1),
    )


def _similar(spans: list[RowSpan]) -> list[list[RowSpan]]:
    """Spans in groups of similar length."""
    groups: list[list[RowSpan]] = []
    for span in sorted(spans, key=lambda span: span.num_kv):
        if groups and span.num_kv <= max(groups[-1][0].num_kv * MAX_STRETCH, SMALL):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _bucket(layout: BatchMetadata, spans: list[RowSpan], window: int | None, dtype: torch.dtype) -> LengthBucket:
    seen = [layout.slots(span)[-window if window else 0 :] for span in spans]
    lengths = [len(slots) for slots in seen]
    longest = max(lengths)
    padded = np.zeros((len(spans), longest), dtype=np.int64)  # padding reads slot 0, which the mask hides
    for i, slots in enumerate(seen):
        padded[i, : len(slots)] = slots
    mask = None
    if min(lengths) < longest:
        visible = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
        mask = _additive(visible, dtype)[:, None, None, :]
    return LengthBucket(torch.tensor([span.first for span in spans]), torch.from_numpy(padded.reshape(-1)), mask)


def _chunk(layout: BatchMetadata, span: RowSpan, window: int | None, dtype: torch.dtype) -> QueryChunk:
    oldest = 0 if window is None else max(0, span.start - window + 1)
    rows, slots = slice(span.first, span.first + span.num_new), torch.from_numpy(layout.slots(span)[oldest:])
    if span.start == 0 and (window is None or span.num_kv <= window):
        return QueryChunk(rows, slots, None)
    of_query = torch.arange(span.start, span.num_kv).unsqueeze(1)
    of_key = torch.arange(oldest, span.num_kv).unsqueeze(0)
    visible = of_key <= of_query
    if window is not None:
        visible &= of_key > of_query - window
    return QueryChunk(rows, slots, _additive(visible, dtype))


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where visible, else minus infinity: what attention would make of a boolean mask in each layer again."""
    return torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, float("-inf"))
