import torch
from torch import Tensor

from xylem.kernels.head_norms import HeadNorms
from xylem.kernels.reference.norm import rms_norm


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
    num_kv_heads, head_dim = keys.shape[1:]
    heads = qkv.view(len(qkv), -1, head_dim)
    query, key, value = torch.split(heads, [heads.shape[1] - 2 * num_kv_heads, num_kv_heads, num_kv_heads], dim=1)
    if norms is not None:
        query, key = rms_norm(query, norms.query, norms.epsilon), rms_norm(key, norms.key, norms.epsilon)
    if rotation is not None:
        query, key = rotate(query, *rotation), rotate(key, *rotation)
    keys.index_copy_(0, slots, key)
    values.index_copy_(0, slots, value)
    return query.contiguous()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the first R of D dimensions of x [T, heads, D] by cos, sin [T, R/2]; dimension i pairs with i + R/2."""
    half = cos.shape[-1]
    cos, sin = cos.unsqueeze(1).to(x.dtype), sin.unsqueeze(1).to(x.dtype)
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
