import torch
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata, DeviceBatch


def attention(query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind) -> Tensor:
    """Row by row, as the definition says: softmax(Q K^T * scale + causal mask) V. Shapes: see interface.py."""
    if layout.decoding is not None:
        return _decode(query, keys, values, layout.decoding, layout.page_size, kind)
    output = torch.empty_like(query)
    group = query.shape[1] // keys.shape[1]
    for span in layout.spans:
        rows = slice(span.first, span.first + span.num_new)
        slots = torch.from_numpy(layout.slots(span)).to(keys.device)
        key = keys[slots].repeat_interleave(group, dim=1)  # [num_kv, H, D]
        value = values[slots].repeat_interleave(group, dim=1)
        scores = _scores(torch.einsum("qhd,khd->hqk", query[rows], key), kind)
        of_query = torch.arange(span.start, span.num_kv, device=keys.device).unsqueeze(1)
        of_key = torch.arange(span.num_kv, device=keys.device).unsqueeze(0)
        hidden = of_key > of_query
        if kind.window is not None:
            hidden |= of_key <= of_query - kind.window
        weights = scores.float().masked_fill(hidden, float("-inf")).softmax(-1).to(value.dtype)
        output[rows] = torch.einsum("hqk,khd->qhd", weights, value)
    return output


def _scores(products: Tensor, kind: AttentionKind) -> Tensor:
    scores = products * kind.scale
    return scores if kind.cap is None else kind.cap * torch.tanh(scores / kind.cap)


def _decode(
    query: Tensor, keys: Tensor, values: Tensor, rows: DeviceBatch, page_size: int, kind: AttentionKind
) -> Tensor:
    """All rows at once, over as many keys as their page tables have room for."""
    within = torch.arange(page_size, device=keys.device)
    slots = (rows.pages.long().unsqueeze(-1) * page_size + within).flatten(1)  # [B, L]
    key, value = keys[slots], values[slots]  # [B, L, K, D]
    place = torch.arange(slots.shape[1], device=keys.device).expand_as(slots)
    visible = place < rows.lengths.unsqueeze(1)
    if kind.window is not None:
        visible = visible & (place >= rows.lengths.unsqueeze(1) - kind.window)
    grouped = query.view(len(query), keys.shape[1], -1, query.shape[-1])  # [B, K, H/K, D]
    scores = _scores(torch.einsum("bkgd,blkd->bkgl", grouped, key), kind)
    weights = scores.float().masked_fill(~visible[:, None, None], float("-inf")).softmax(-1).to(value.dtype)
    # What is hidden may hold anything, and no weight is as small as to hide what is not a number.
    value = value.masked_fill(~visible[..., None, None], 0.0)
    return torch.einsum("bkgl,blkd->bkgd", weights, value).flatten(1, 2)
