import triton
import triton.language as tl


@triton.jit
def slots_of(table: tl.tensor, positions: tl.tensor, there: tl.tensor, page_size: tl.constexpr) -> tl.tensor:
    """Returns the pool's slots of a row's positions, int64. table: its pages; there: which positions it has."""
    page = tl.load(table + positions // page_size, mask=there, other=0)
    return page.to(tl.int64) * page_size + positions % page_size
