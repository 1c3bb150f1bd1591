import torch
from torch import Tensor


def new_kv(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros, not garbage: padding reads slots that nobody wrote, and NaN would get through a mask."""
    return torch.zeros(shape, dtype=dtype, device=device)


def copy_kv(pool: Tensor, source: int, target: int, count: int) -> None:
    """Slots [source, source + count) of a pool to those from target on."""
    pool[target : target + count] = pool[source : source + count]
