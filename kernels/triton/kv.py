import math

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # elements of a program


@triton.jit(do_not_specialize=["source", "target", "count", "num_slots"])
def _copy_kv(
    pools: tl.tensor,
    source: tl.tensor,
    target: tl.tensor,
    count: tl.tensor,
    num_slots: tl.tensor,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Slots [source, source + count) of each pool to those from target on, a piece of one pool per program.

    pools: [P, num_slots, width]. What is copied does not overlap what is written. All numbers are of slots, so that
    they fit into 32 bits however large the pools are, and one kernel serves all.
    """
    offsets = tl.program_id(1) * block + tl.arange(0, block)
    inside = offsets < count * width
    pool = pools + tl.program_id(0).to(tl.int64) * num_slots * width
    values = tl.load(pool + source.to(tl.int64) * width + offsets, mask=inside)
    tl.store(pool + target.to(tl.int64) * width + offsets, values, mask=inside)


def copy_kv(pools: Tensor, source: int, target: int, count: int) -> None:
    """Slots of pools [P, S, K, D], see interface.py: one launch, where torch's copy of as large a span takes dozens."""
    assert pools.is_contiguous()
    num_pools, num_slots, *of_slot = pools.shape
    width = math.prod(of_slot)
    _copy_kv[(num_pools, triton.cdiv(count * width, BLOCK))](
        pools, source, target, count, num_slots, width=width, block=BLOCK
    )
