import torch
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata
from xylem.kernels.flashinfer.plans import LayerKind, planned
from xylem.kernels.triton.attention import attention as other_attention

HEAD_DIMS = (64, 128, 256)
TYPES = (torch.float16, torch.bfloat16)


def attention(query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind) -> Tensor:
    """Shapes: see interface.py.

    Left to Triton: head sizes and types that FlashInfer has no kernels for, capped scores, and rows whose lengths only
    the device knows, because a plan is made on the host.
    """
    num_heads, head_dim = query.shape[1:]
    if layout.decoding is not None or head_dim not in HEAD_DIMS or query.dtype not in TYPES or kind.cap is not None:
        return other_attention(query, keys, values, layout, kind)
    decodes = all(span.num_new == 1 for span in layout.spans)
    of_plan = LayerKind(
        decodes=decodes, num_heads=num_heads, num_kv_heads=keys.shape[1], head_dim=head_dim,
        page_size=layout.page_size, window=kind.window, scale=kind.scale, dtype=query.dtype, device=query.device,
    )  # fmt: skip
    paged = (-1, layout.page_size, *keys.shape[1:])
    output: Tensor = planned(layout, of_plan).run(query, (keys.view(paged), values.view(paged)))
    return output
