import torch
from torch import Tensor

from kernels.layout import Layout


def attention(
    query: Tensor, keys: Tensor, values: Tensor, layout: Layout, *, scale: float, window: int | None
) -> Tensor:
    """Row by row, as the definition says: softmax(Q K^T * scale + causal mask) V. Shapes: see kernels.ops."""
    output = torch.empty_like(query)
    group = query.shape[1] // keys.shape[1]
    for span in layout.on_host():
        rows = slice(span.first, span.first + span.num_new)
        slots = torch.from_numpy(layout.slots(span)).to(keys.device)
        key = keys[slots].repeat_interleave(group, dim=1)  # [num_kv, H, D]
        value = values[slots].repeat_interleave(group, dim=1)
        scores = torch.einsum("qhd,khd->hqk", query[rows], key) * scale
        of_query = torch.arange(span.start, span.num_kv, device=keys.device).unsqueeze(1)
        of_key = torch.arange(span.num_kv, device=keys.device).unsqueeze(0)
        hidden = of_key > of_query
        if window is not None:
            hidden |= of_key <= of_query - window
        weights = scores.float().masked_fill(hidden, float("-inf")).softmax(-1).to(value.dtype)
        output[rows] = torch.einsum("hqk,khd->qhd", weights, value)
    return output
