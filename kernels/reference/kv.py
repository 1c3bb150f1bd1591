import torch
from torch import Tensor


def new_kv(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros, not garbage: padding reads slots that nobody wrote, and NaN would get through a mask."""
    return torch.zeros(shape, dtype=dtype, device=device)


def copy_kv(pools: Tensor, source: int, target: int, count: int) -> None:
    """Slots [source, source + count) to those from target on, in all pools at once."""
    pools[:, target : target + count] = pools[:, source : source + count]
