import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # elements of a program


@triton.jit(do_not_specialize=["source", "target", "count", "pool_size"])
def _copy_kv(
    pools: tl.tensor, source: tl.tensor, target: tl.tensor, count: tl.tensor, pool_size: tl.tensor, block: tl.constexpr
) -> None:
    """Elements [source, source + count) of each pool to those from target on, a piece of one pool per program.

    pools: [P, pool_size]. What is copied does not overlap what is written.
    """
    offsets = tl.program_id(1) * block + tl.arange(0, block)
    pool = pools + tl.program_id(0).to(tl.int64) * pool_size
    values = tl.load(pool + source.to(tl.int64) + offsets, mask=offsets < count)
    tl.store(pool + target.to(tl.int64) + offsets, values, mask=offsets < count)


def copy_kv(pools: Tensor, source: int, target: int, count: int) -> None:
    """Slots of pools [P, S, K, D], see kernels.ops: one launch, where torch's copy of as large a span takes dozens."""
    assert pools.is_contiguous()
    width = pools[0, 0].numel()
    _copy_kv[(len(pools), triton.cdiv(count * width, BLOCK))](
        pools, source * width, target * width, count * width, pools[0].numel(), block=BLOCK
    )
