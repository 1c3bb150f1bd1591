import triton
import triton.language as tl
from torch import Tensor

ELEMENTS = 2048  # of a program's share of the queries


@triton.jit
def _rotate(
    source: tl.tensor,
    target: tl.tensor,
    cosine: tl.tensor,
    sine: tl.tensor,
    inside: tl.tensor,
    half: tl.constexpr,
) -> None:
    """From where the first halves of some x lie to where they go, with the second halves `half` behind them.

    x[d], d < half, becomes x[d] cos[d] - x[d + half] sin[d], and x[d + half] becomes x[d + half] cos[d] + x[d] sin[d].
    Su et al., "RoFormer", 2021.
    """
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + half, mask=inside, other=0.0).to(tl.float32)
    tl.store(target, first * cosine - second * sine, mask=inside)
    tl.store(target + half, second * cosine + first * sine, mask=inside)


@triton.jit
def _write_latent(
    query: tl.tensor,
    rotated: tl.tensor,
    latent: tl.tensor,
    keys: tl.tensor,
    slots: tl.tensor,
    norm: tl.tensor,
    epsilon: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    query_token_stride: tl.tensor,
    query_head_stride: tl.tensor,
    latent_token_stride: tl.tensor,
    num_heads: tl.constexpr,
    rank: tl.constexpr,
    half: tl.constexpr,
    rank_block: tl.constexpr,
    head_block: tl.constexpr,
    half_block: tl.constexpr,
) -> None:
    """One token's latent per program (second index 0), or the queries of a few of its heads (from 1 on).

    query, rotated: [T, num_heads, 2 half]; latent: [T, rank + 2 half]; keys: [S, rank + 2 half]; slots: [T] int64;
    norm: [rank]; cos, sin: [T, half] float32. What is written to the token's slot: c / sqrt(mean(c^2) + epsilon) * norm
    of the compressed c, and behind it the rotated key. DeepSeek-AI, "DeepSeek-V2", 2024, section 2.1.
    """
    token = tl.program_id(0).to(tl.int64)
    width: tl.constexpr = 2 * half
    dims = tl.arange(0, half_block)
    turned = dims < half
    cosine = tl.load(cos + token * half + dims, mask=turned, other=0.0)
    sine = tl.load(sin + token * half + dims, mask=turned, other=0.0)
    if tl.program_id(1) == 0:
        source = latent + token * latent_token_stride
        target = keys + tl.load(slots + token) * (rank + width)
        columns = tl.arange(0, rank_block)
        inside = columns < rank
        value = tl.load(source + columns, mask=inside, other=0.0)
        wide = value.to(tl.float32)
        scale = tl.rsqrt(tl.sum(wide * wide, axis=0) / rank + epsilon)
        weight = tl.load(norm + columns, mask=inside, other=0.0)
        tl.store(target + columns, (wide * scale).to(value.dtype) * weight, mask=inside)
        _rotate(source + rank + dims, target + rank + dims, cosine, sine, turned, half)
    else:
        heads = ((tl.program_id(1) - 1) * head_block + tl.arange(0, head_block))[:, None]
        from_heads = query + token * query_token_stride + heads * query_head_stride + dims[None, :]
        to_heads = rotated + (token * num_heads + heads) * width + dims[None, :]
        _rotate(from_heads, to_heads, cosine[None, :], sine[None, :], (heads < num_heads) & turned[None, :], half)


def write_latent(
    query: Tensor,
    latent: Tensor,
    keys: Tensor,
    slots: Tensor,
    *,
    norm: Tensor,
    epsilon: float,
    rotation: tuple[Tensor, Tensor],
) -> Tensor:
    """Shapes: see interface.py. One launch; query and latent may be parts of wider tensors."""
    cos, sin = rotation
    num_tokens, num_heads, width = query.shape
    rotated = query.new_empty(query.shape)
    assert query.stride(2) == latent.stride(1) == 1
    assert all(tensor.is_contiguous() for tensor in (keys, cos, sin))
    half_block = triton.next_power_of_2(width // 2)
    head_block = min(max(ELEMENTS // half_block, 1), triton.next_power_of_2(num_heads))
    _write_latent[(num_tokens, 1 + triton.cdiv(num_heads, head_block))](
        query, rotated, latent, keys, slots, norm, epsilon, cos, sin,
        query.stride(0), query.stride(1), latent.stride(0),
        num_heads=num_heads, rank=len(norm), half=width // 2,
        rank_block=triton.next_power_of_2(len(norm)), head_block=head_block, half_block=half_block,
    )  # fmt: skip
    return rotated
