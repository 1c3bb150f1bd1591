"""Batch sizes that decoding steps are captured for. A step runs in the next larger one, with padding."""

from bisect import bisect_left
from collections.abc import Sequence

LARGEST = 512  # a step of more rows is long enough to launch its kernels one by one


def capture_sizes(max_rows: int) -> list[int]:
    """1, 2, 4, then by 8 up to 256, by 16 up to LARGEST: the last one holds max_rows, or is LARGEST."""
    sizes = [1, 2, 4, *range(8, 256, 8), *range(256, LARGEST + 1, 16)]
    return sizes[: bisect_left(sizes, max_rows) + 1]


def captured_size(num_rows: int, sizes: Sequence[int]) -> int | None:
    """The smallest size that holds the rows; None when none does."""
    index = bisect_left(sizes, num_rows)
    return sizes[index] if index < len(sizes) else None
