"""Paged attention on a CPU through torch's fused scaled_dot_product_attention.

Decoding rows of similar length share one padded gather; the queries of a group of heads stand in for query positions,
so that no key is repeated. Prompt chunks go one by one.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.layout import Layout, Span

# Rows are padded together while the longest is at most this much longer than the shortest.
MAX_STRETCH = 1.5
SMALL = 64  # below this many keys padding costs less than another call


def attention(
    query: Tensor, keys: Tensor, values: Tensor, layout: Layout, *, scale: float, window: int | None
) -> Tensor:
    """Shapes: see kernels.ops."""
    output = torch.empty_like(query)
    decoding = [span for span in layout.spans if span.num_new == 1]
    for bucket in _buckets(decoding):
        _decode(output, query, keys, values, bucket, scale=scale, window=window)
    for span in layout.spans:
        if span.num_new > 1:
            _read(output, query, keys, values, span, scale=scale, window=window)
    return output


def _buckets(spans: list[Span]) -> list[list[Span]]:
    buckets: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: span.num_kv):
        if buckets and span.num_kv <= max(buckets[-1][0].num_kv * MAX_STRETCH, SMALL):
            buckets[-1].append(span)
        else:
            buckets.append([span])
    return buckets


def _decode(
    output: Tensor,
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    bucket: list[Span],
    *,
    scale: float,
    window: int | None,
) -> None:
    num_kv_heads = keys.shape[1]
    seen = [span.slots if window is None else span.slots[-window:] for span in bucket]
    lengths = [len(slots) for slots in seen]
    longest = max(lengths)
    padded = np.zeros((len(bucket), longest), dtype=np.int64)  # padding reads slot 0, which the mask hides
    for i, slots in enumerate(seen):
        padded[i, : len(slots)] = slots
    slots_of = torch.from_numpy(padded)
    rows = torch.tensor([span.first for span in bucket])
    key = keys[slots_of].transpose(1, 2)  # [B, K, longest, D]
    value = values[slots_of].transpose(1, 2)
    grouped = query[rows].view(len(bucket), num_kv_heads, -1, query.shape[-1])  # [B, K, H/K, D]
    mask = None
    if min(lengths) < longest:
        mask = (torch.arange(longest) < torch.tensor(lengths).unsqueeze(1))[:, None, None, :]
    attended = F.scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scale)
    output[rows] = attended.flatten(1, 2)


def _read(
    output: Tensor, query: Tensor, keys: Tensor, values: Tensor, span: Span, *, scale: float, window: int | None
) -> None:
    rows = slice(span.first, span.first + span.num_new)
    oldest = 0 if window is None else max(0, span.start - window + 1)
    slots = torch.from_numpy(span.slots[oldest:])
    key = keys[slots].transpose(0, 1).unsqueeze(0)  # [1, K, seen, D]
    value = values[slots].transpose(0, 1).unsqueeze(0)
    asked = query[rows].transpose(0, 1).unsqueeze(0)  # [1, H, new, D]
    if span.start == 0 and (window is None or span.num_kv <= window):
        attended = F.scaled_dot_product_attention(asked, key, value, is_causal=True, scale=scale, enable_gqa=True)
    else:
        of_query = torch.arange(span.start, span.num_kv).unsqueeze(1)
        of_key = torch.arange(oldest, span.num_kv).unsqueeze(0)
        mask = of_key <= of_query
        if window is not None:
            mask &= of_key > of_query - window
        attended = F.scaled_dot_product_attention(asked, key, value, attn_mask=mask, scale=scale, enable_gqa=True)
    output[rows] = attended.squeeze(0).transpose(0, 1)
