import triton
import triton.language as tl
from triton import knobs

# The interpreter multiplies bfloat16 by its bits, which is wrong without a word.
INTERPRETED = tl.constexpr(knobs.runtime.interpret)


@triton.jit
def dot(a: tl.tensor, b: tl.tensor, sum_so_far: tl.tensor) -> tl.tensor:
    """sum_so_far + a b, in float32. Factors in float32 are multiplied as three products of tf32, which lose nothing."""
    if INTERPRETED:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, sum_so_far, input_precision="tf32x3")
