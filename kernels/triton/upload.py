import numpy as np
import torch
from torch import Tensor

ALIGNMENT = 4  # int32 words: Triton compiles another kernel for a pointer that is no multiple of 16 bytes


def upload(columns: list[np.ndarray], device: torch.device) -> list[Tensor]:
    """int32 arrays as tensors on a device, in one copy that the host does not wait for."""
    lengths = [-(-column.size // ALIGNMENT) * ALIGNMENT for column in columns]
    packed = torch.zeros(sum(lengths), dtype=torch.int32, pin_memory=device.type == "cuda")
    words = packed.numpy()
    start, places = 0, []
    for column, length in zip(columns, lengths, strict=True):
        words[start : start + column.size] = column.reshape(-1)
        places.append(start)
        start += length
    there = packed.to(device, non_blocking=True)
    return [
        there[place : place + column.size].view(column.shape) for place, column in zip(places, columns, strict=True)
    ]
