from torch import Tensor

from xylem.kernels.head_norms import HeadNorms
from xylem.kernels.native.library import ELEMENTS, address, kernel
from xylem.kernels.reference import heads as reference

_rotate_and_write = kernel("rotate_and_write", "ppppppppplllllfi")


def rotate_and_write(
    qkv: Tensor,
    keys: Tensor,
    values: Tensor,
    slots: Tensor,
    *,
    norms: HeadNorms | None,
    rotation: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Shapes: see interface.py."""
    if qkv.dtype not in ELEMENTS:
        return reference.rotate_and_write(qkv, keys, values, slots, norms=norms, rotation=rotation)
    _, num_kv_heads, dim = keys.shape
    num_heads = qkv.shape[1] // dim - 2 * num_kv_heads
    query = qkv.new_empty(len(qkv), num_heads, dim)
    query_norm, key_norm, epsilon = (norms.query, norms.key, norms.epsilon) if norms else (None, None, 0.0)
    cos, sin, half = (*rotation, rotation[0].shape[1]) if rotation else (None, None, 0)
    _rotate_and_write(
        *map(address, (qkv, query, keys, values, slots, query_norm, key_norm, cos, sin)),
        len(qkv),
        num_heads,
        num_kv_heads,
        dim,
        half,
        epsilon,
        ELEMENTS[qkv.dtype],
    )
    return query
