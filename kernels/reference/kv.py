from torch import Tensor


def write_kv(keys: Tensor, values: Tensor, slots: Tensor, key: Tensor, value: Tensor) -> None:
    """key, value [T, K, D] into slots [T] of a layer's pool."""
    keys.index_copy_(0, slots, key)
    values.index_copy_(0, slots, value)


def copy_kv(pool: Tensor, source: int, target: int, count: int) -> None:
    """Slots [source, source + count) of a pool to those from target on."""
    pool[target : target + count] = pool[source : source + count]
