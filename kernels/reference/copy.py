from torch import Tensor


def copy_kv(pool: Tensor, source: int, target: int, count: int) -> None:
    """Slots [source, source + count) of a pool to those from target on."""
    pool[target : target + count] = pool[source : source + count]
