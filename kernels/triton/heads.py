import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.head_norms import HeadNorms

ELEMENTS = 1024  # of a program: eight of each thread


@triton.jit
def _rotate_and_write(
    qkv: tl.tensor,
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    slots: tl.tensor,
    query_weight: tl.tensor,
    key_weight: tl.tensor,
    epsilon: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    num_heads: tl.constexpr,
    num_kv_heads: tl.constexpr,
    head_dim: tl.constexpr,
    half: tl.constexpr,
    normed: tl.constexpr,
    head_block: tl.constexpr,
    dim_block: tl.constexpr,
) -> None:
    """A few heads of one token per program, of queries, keys and values alike: each is stored where it belongs.

    qkv: [T, (num_heads + 2 num_kv_heads) x head_dim]; query: [T, num_heads, head_dim]; keys, values: [S, num_kv_heads,
    head_dim]; slots: [T] int64; cos, sin: [T, half] float32. With r = x / sqrt(mean(x^2) + epsilon) * weight where
    normed, else x: dimension d < half becomes r[d] cos[d] - r[d + half] sin[d], dimension d + half becomes
    r[d + half] cos[d] + r[d] sin[d], and those from 2 half on stay. Values are copied. Rotary embedding: Su et al.,
    "RoFormer", 2021; norms of heads: Dehghani et al., "Scaling Vision Transformers to 22 Billion Parameters", 2023.
    """
    token = tl.program_id(0).to(tl.int64)
    heads = (tl.program_id(1) * head_block + tl.arange(0, head_block))[:, None]
    dims = tl.arange(0, dim_block)[None, :]
    num_all: tl.constexpr = num_heads + 2 * num_kv_heads
    inside = (heads < num_all) & (dims < head_dim)
    of_query = heads < num_heads
    of_value = heads >= num_heads + num_kv_heads
    of_key = (heads >= num_heads) & (heads < num_heads + num_kv_heads)
    from_head = qkv + (token * num_all + heads) * head_dim
    value = tl.load(from_head + dims, mask=inside, other=0.0)
    result = value.to(tl.float32)
    # Each dimension needs the one that it is rotated with: another lane has it, so it is read again, from the cache.
    pair = tl.where(dims < half, dims + half, tl.where(dims < 2 * half, dims - half, dims))
    paired = tl.load(from_head + pair, mask=inside, other=0.0).to(tl.float32)
    if normed:
        scale = tl.rsqrt(tl.sum(result * result, axis=1, keep_dims=True) / head_dim + epsilon)
        weight = tl.where(
            of_query,
            tl.load(query_weight + dims, mask=dims < head_dim, other=0.0),
            tl.load(key_weight + dims, mask=dims < head_dim, other=0.0),
        )
        weight_of_pair = tl.where(
            of_query,
            tl.load(query_weight + pair, mask=dims < head_dim, other=0.0),
            tl.load(key_weight + pair, mask=dims < head_dim, other=0.0),
        )
        result = ((result * scale).to(value.dtype) * weight).to(tl.float32)
        paired = ((paired * scale).to(value.dtype) * weight_of_pair).to(tl.float32)
    if half > 0:
        rotated = dims < 2 * half
        cosine = tl.load(cos + token * half + dims % half, mask=rotated, other=1.0)
        sine = tl.load(sin + token * half + dims % half, mask=rotated, other=0.0)
        result = result * cosine + tl.where(dims < half, -paired, paired) * sine
    result = tl.where(of_value, value, result.to(value.dtype))
    slot = tl.load(slots + token)
    tl.store(query + (token * num_heads + heads) * head_dim + dims, result, mask=inside & of_query)
    to_key = (slot * num_kv_heads + heads - num_heads) * head_dim + dims
    tl.store(keys + to_key, result, mask=inside & of_key)
    to_value = (slot * num_kv_heads + heads - num_heads - num_kv_heads) * head_dim + dims
    tl.store(values + to_value, result, mask=inside & of_value)


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
    num_all = qkv.shape[1] // head_dim
    num_heads = num_all - 2 * num_kv_heads
    query = qkv.new_empty(len(qkv), num_heads, head_dim)
    cos, sin = (qkv, qkv) if rotation is None else rotation
    query_weight, key_weight, epsilon = (qkv, qkv, 0.0) if norms is None else (norms.query, norms.key, norms.epsilon)
    assert all(tensor.is_contiguous() for tensor in (qkv, keys, values, cos, sin))
    dim_block = triton.next_power_of_2(head_dim)
    head_block = max(ELEMENTS // dim_block, 1)
    _rotate_and_write[(len(qkv), triton.cdiv(num_all, head_block))](
        qkv, query, keys, values, slots, query_weight, key_weight, epsilon, cos, sin,
        num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim,
        half=0 if rotation is None else cos.shape[1], normed=norms is not None,
        head_block=head_block, dim_block=dim_block,
    )  # fmt: skip
    return query
