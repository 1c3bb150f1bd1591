"""Memory in huge pages, where weights are read two or three times as fast from: with pages of 4 KiB a core spends its
time on finding out where they lie, in a virtual machine most of all.
"""

import ctypes
import math
import mmap
from contextlib import suppress

import torch
from torch import Tensor

PAGE_BYTES = 2 << 20
BLOCK_BYTES = 64 << 20  # taken at once: many weights are smaller than a page
LINE_BYTES = 64


class HugePageArena:
    """Hands out memory from front to back. A block is freed with the last tensor that lies in it."""

    def __init__(self) -> None:
        self._left = torch.empty(0, dtype=torch.uint8)

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Begins at a line of the cache. Memory is taken when it is first written to; until then there are zeros."""
        num_bytes = math.prod(shape) * dtype.itemsize
        taken = -(-num_bytes // LINE_BYTES) * LINE_BYTES
        if taken > len(self._left):
            self._left = _block(max(taken, BLOCK_BYTES))
        given, self._left = self._left[:num_bytes], self._left[taken:]
        return given.view(dtype).view(shape)


def _block(num_bytes: int) -> Tensor:
    """[at least num_bytes] uint8, in whole huge pages."""
    num_bytes = -(-num_bytes // PAGE_BYTES) * PAGE_BYTES
    around = mmap.mmap(-1, num_bytes + PAGE_BYTES)
    with suppress(OSError):  # where the system has none
        around.madvise(mmap.MADV_HUGEPAGE)
    first = -ctypes.addressof(ctypes.c_char.from_buffer(around)) % PAGE_BYTES
    return torch.frombuffer(around, dtype=torch.uint8, offset=first, count=num_bytes)


ROOM = HugePageArena()
