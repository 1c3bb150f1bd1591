import torch
from torch import Tensor

from kernels.layout import Layout
from kernels.triton.course import course
from kernels.triton.decode import decode
from kernels.triton.extend import choose, extend
from kernels.triton.latent import attend


def attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    layout: Layout,
    *,
    scale: float,
    window: int | None,
    cap: float | None = None,
) -> Tensor:
    """Rows that decode by one kernel, rows that read by another, latents by a third; shapes: see kernels.ops."""
    assert all(tensor.is_contiguous() for tensor in (query, keys, values))
    if values is keys and window is None and cap is None and keys.shape[1] == 1 and keys.shape[2] > 16:
        return attend(query, keys, layout, scale=scale)
    assert keys.shape == values.shape
    choice = choose(keys.shape[2], keys.element_size())
    step = course(layout, choice.query_block, query.device)
    output = torch.empty_like(query)
    if step.decoding is not None:
        decode(
            output, query, keys, values, step.decoding, page_size=layout.page_size, scale=scale, window=window, cap=cap
        )
    if step.reading is not None:
        extend(
            output, query, keys, values, step.reading, choice, page_size=layout.page_size, scale=scale, window=window,
            cap=cap,
        )  # fmt: skip
    return output
