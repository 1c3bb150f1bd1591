import torch
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata
from xylem.kernels.triton.course import course
from xylem.kernels.triton.decode import decode
from xylem.kernels.triton.extend import choose, extend
from xylem.kernels.triton.latent import attend


def attention(query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind) -> Tensor:
    """Rows that decode by one kernel, rows that read by another, latents by a third; shapes: see interface.py."""
    assert all(tensor.is_contiguous() for tensor in (query, keys, values))
    is_plain = kind.window is None and kind.cap is None
    if values is keys and is_plain and keys.shape[1] == 1 and keys.shape[2] > 16:
        return attend(query, keys, layout, scale=kind.scale)
    assert keys.shape == values.shape
    choice = choose(keys.shape[2], keys.element_size())
    step = course(layout, choice.query_block, query.device)
    output = torch.empty_like(query)
    if step.decoding is not None:
        decode(output, query, keys, values, step.decoding, kind, page_size=layout.page_size)
    if step.reading is not None:
        extend(output, query, keys, values, step.reading, choice, kind, page_size=layout.page_size)
    return output
