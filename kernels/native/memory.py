"""Memory in huge pages, where weights are read two or three times as fast from: with pages of 4 KiB a core spends its
time on finding out where they lie, in a virtual machine most of all.
"""

import math

import torch
from torch import Tensor

from kernels.native.library import kernel

PAGE_BYTES = 2 << 20
BLOCK_BYTES = 64 << 20  # taken at once: many weights are smaller than a page
LINE_BYTES = 64

_huge_pages = kernel("xylem_huge_pages", "pl")


class Room:
    """Hands out memory from front to back. A block is freed with the last tensor that lies in it."""

    def __init__(self) -> None:
        self._left = torch.empty(0, dtype=torch.uint8)

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Begins at a line of the cache; holds whatever was there."""
        num_bytes = math.prod(shape) * dtype.itemsize
        taken = -(-num_bytes // LINE_BYTES) * LINE_BYTES
        if taken > len(self._left):
            self._left = _block(max(taken, BLOCK_BYTES))
        given, self._left = self._left[:num_bytes], self._left[taken:]
        return given.view(dtype).view(shape)


def _block(num_bytes: int) -> Tensor:
    """[at least num_bytes] uint8, in whole huge pages."""
    num_bytes = -(-num_bytes // PAGE_BYTES) * PAGE_BYTES
    around = torch.empty(num_bytes + PAGE_BYTES, dtype=torch.uint8)
    block = around[-around.data_ptr() % PAGE_BYTES :][:num_bytes]
    _huge_pages(block.data_ptr(), num_bytes)
    return block


ROOM = Room()
