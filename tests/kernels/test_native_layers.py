"""All layers in one call: bit for bit what their operations give one after the other."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import BACKENDS, NEEDS_NATIVE
from xylem.kernels.interface import AttentionKind, BatchMetadata, DenseLayer, HeadNorms, Ops

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    NEEDS_NATIVE,
]

WIDTH, INNER, HEADS, KV_HEADS, DIM, PAGE = 64, 96, 4, 2, 32, 4
EPSILON = 1e-5
FORMS = ("none", "int8", "int4")


def native() -> Ops:
    return BACKENDS["native"]


def dense(dtype: torch.dtype, form: str, *, width: int = WIDTH, dim: int = DIM, **more: Any) -> DenseLayer:
    """A layer with random weights."""
    pack = native().packing(form)

    def weight(*shape: int) -> Tensor:
        return torch.randn(shape).div(math.sqrt(shape[-1])).to(dtype)

    layer = DenseLayer(
        attention_norm=weight(width),
        qkv=pack(weight((HEADS + 2 * KV_HEADS) * dim, width), weight((HEADS + 2 * KV_HEADS) * dim)),
        head_norms=None,
        is_rotated=True,
        num_heads=HEADS,
        num_kv_heads=KV_HEADS,
        head_dim=dim,
        kind=AttentionKind(dim**-0.5),
        output=pack(weight(width, HEADS * dim), None),
        mlp_norm=weight(width),
        gate_up=pack(weight(2 * INNER, width), None),
        down=pack(weight(width, INNER), None),
    )
    return replace(layer, **more)


def layers_of(dtype: torch.dtype, form: str) -> list[DenseLayer]:
    """Of every kind: plain, with norms of heads, with a window and unrotated."""
    torch.manual_seed(0)
    norms = HeadNorms(torch.rand(DIM).to(dtype), torch.rand(DIM).to(dtype), EPSILON)
    return [
        dense(dtype, form, head_norms=norms),
        dense(dtype, form, head_norms=norms, kind=AttentionKind(DIM**-0.5, 5), is_rotated=False),
        dense(dtype, form, head_norms=norms, kind=AttentionKind(0.3)),
    ]


def gemma_layers_of(dtype: torch.dtype, form: str) -> list[DenseLayer]:
    """With norms behind each block, a cap, GELU, and weights of norms around 0."""
    torch.manual_seed(0)
    norms: dict[str, Any] = {
        name: torch.rand(WIDTH).to(dtype) - 0.5 for name in ("attention_post_norm", "mlp_post_norm")
    }
    return [
        dense(dtype, form, kind=AttentionKind(DIM**-0.5, window, 2.0), is_gelu=True, norm_offset=1.0, **norms)
        for window in (5, None)
    ]


def one_by_one(
    layers: list[DenseLayer], x: Tensor, layout: BatchMetadata, keys: list[Tensor], values: list[Tensor],
    rotation: tuple[Tensor, Tensor],
) -> Tensor:  # fmt: skip
    ops, delta = native(), None
    for layer, k, v in zip(layers, keys, values, strict=True):
        turned = rotation if layer.is_rotated else None
        qkv = layer.qkv(ops.add_rms_norm(x, delta, layer.attention_norm, EPSILON, offset=layer.norm_offset))
        query = ops.rotate_and_write(qkv, k, v, layout.new_slots, norms=layer.head_norms, rotation=turned)
        attended = ops.attention(query, k, v, layout, layer.kind)
        delta = layer.output(attended.flatten(1))
        if layer.attention_post_norm is not None:
            delta = ops.add_rms_norm(delta, None, layer.attention_post_norm, EPSILON, offset=layer.norm_offset)
        h = ops.add_rms_norm(x, delta, layer.mlp_norm, EPSILON, offset=layer.norm_offset)
        gate = ops.gelu_and_mul if layer.is_gelu else ops.silu_and_mul
        delta = layer.down(gate(layer.gate_up(h)))
        if layer.mlp_post_norm is not None:
            delta = ops.add_rms_norm(delta, None, layer.mlp_post_norm, EPSILON, offset=layer.norm_offset)
    assert delta is not None
    return delta


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("made", [layers_of, gemma_layers_of])
def test_layers_in_one_call_give_the_same_bits(
    made: Callable[[torch.dtype, str], list[DenseLayer]], form: str, dtype: torch.dtype
) -> None:
    layers = made(dtype, form)
    run = native().fuse_layers(layers, EPSILON)
    assert run is not None
    keys, values = ([torch.randn(64, KV_HEADS, DIM).to(dtype) for _ in layers] for _ in range(2))
    same_keys, same_values = ([pool.clone() for pool in pools] for pools in (keys, values))
    for rows in ([(0, 9, (0, 1, 2))], [(9, 1, (0, 1, 2)), (0, 35, tuple(range(3, 12)))], [(10, 1, (0, 1, 2))]):
        layout = BatchMetadata.build(rows, page_size=PAGE, device=torch.device("cpu"))
        angles = layout.positions[:, None] * torch.rand(DIM // 2)
        rotation = angles.cos(), angles.sin()
        x = torch.randn(len(layout.positions), WIDTH).to(dtype)
        same_x = x.clone()
        expected = one_by_one(layers, same_x, layout, same_keys, same_values, rotation)
        assert torch.equal(run(x, layout, keys, values, rotation), expected)
        assert torch.equal(x, same_x)
    assert all(map(torch.equal, (*keys, *values), (*same_keys, *same_values)))


def test_other_pools_are_found() -> None:
    layers = layers_of(torch.float32, "none")
    run = native().fuse_layers(layers, EPSILON)
    assert run is not None
    layout = BatchMetadata.build([(0, 3, (1,))], page_size=PAGE, device=torch.device("cpu"))
    rotation = torch.ones(3, DIM // 2), torch.zeros(3, DIM // 2)
    x = torch.randn(3, WIDTH)
    for _ in range(2):
        keys, values = ([torch.zeros(8, KV_HEADS, DIM) for _ in layers] for _ in range(2))
        run(x.clone(), layout, keys, values, rotation)
        assert all(pool[4:7].all() and not pool[7:].any() for pool in (*keys, *values))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: dense(torch.bfloat16, "none", width=40),  # the kernel wants rows of whole tiles
        lambda: dense(torch.float32, "none", dim=24),
        lambda: dense(torch.float16, "none"),
        lambda: replace(dense(torch.float32, "none"), down=lambda x, dtype=None: x),
    ],
    ids=["width", "head", "float16", "layer of another backend"],
)
def test_what_can_not_be_had_as_data_is_left_to_operations(layer) -> None:  # type: ignore[no-untyped-def]
    assert native().fuse_layers([layer()], EPSILON) is None
