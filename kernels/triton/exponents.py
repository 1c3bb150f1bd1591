"""Numbers for exponentials."""

import triton.language as tl

LOG2_E = 1.4426950408889634
LARGEST = tl.constexpr(80.0)  # e to it is a float32, and as good as infinite
