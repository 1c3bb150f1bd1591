"""All layers of a dense decoder in one call; see source/layers.c."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from xylem.kernels.batch_metadata import BatchMetadata
from xylem.kernels.interface import LINEARS, DenseLayer, RunLayers
from xylem.kernels.native.attention import VECTOR, course
from xylem.kernels.native.library import ELEMENTS, address, count, kernel
from xylem.kernels.native.linear import NativeLinear, Weight

_run_layers = kernel("run_layers", "p")
_room = count("room_for_layers", "p")


class _Layer(ctypes.Structure):
    """The `Layer` of source/layers.c."""

    _fields_ = (
        *((name, Weight) for name in LINEARS),
        *((name, ctypes.c_void_p) for name in ("attention_norm", "mlp_norm", "query_norm", "key_norm")),
        *((name, ctypes.c_void_p) for name in ("attention_post_norm", "mlp_post_norm")),
        *((name, ctypes.c_void_p) for name in ("keys", "values")),
        *((name, ctypes.c_int32) for name in ("course", "is_rotated", "is_gelu")),
    )


class _Pass(ctypes.Structure):
    """The `Pass` of source/layers.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("layers", "courses", "x", "delta", "slots", "cos", "sin", "room")),
        *((name, ctypes.c_int64) for name in ("num_layers", "num_tokens", "width", "num_heads", "num_kv_heads")),
        *((name, ctypes.c_int64) for name in ("dim", "half")),
        *((name, ctypes.c_float) for name in ("norm_epsilon", "norm_offset", "head_epsilon")),
        ("is_bf16", ctypes.c_int32),
    )


class FusedLayers:
    """Layers that native kernels can have as data. For one step at a time."""

    def __init__(self, layers: Sequence[DenseLayer], epsilon: float) -> None:
        first = layers[0]
        self._kept = list(layers)
        self._dtype = first.attention_norm.dtype
        self._kinds = list(dict.fromkeys(layer.kind for layer in layers))
        self._layers = (_Layer * len(layers))(*map(self._as_data, layers))
        self._courses = (ctypes.c_void_p * len(self._kinds))()
        self._pools: list[Tensor] = []
        self._room = torch.empty(0, dtype=torch.uint8)
        self._pass = _Pass(
            layers=ctypes.addressof(self._layers),
            courses=ctypes.addressof(self._courses),
            num_layers=len(layers),
            width=len(first.attention_norm),
            num_heads=first.num_heads,
            num_kv_heads=first.num_kv_heads,
            dim=first.head_dim,
            norm_epsilon=epsilon,
            norm_offset=first.norm_offset,
            head_epsilon=first.head_norms.epsilon if first.head_norms else 0.0,
            is_bf16=ELEMENTS[self._dtype],
        )

    def __call__(
        self,
        x: Tensor,
        layout: BatchMetadata,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        rotation: tuple[Tensor, Tensor],
    ) -> Tensor:
        """See xylem.kernels.interface.RunLayers."""
        assert layout.decoding is None  # rows that a CUDA graph reads, which this is not for
        step = self._pass
        shape = step.num_heads, step.num_kv_heads, step.dim
        courses = [course(layout, self._dtype, *shape, kind) for kind in self._kinds]
        self._courses[:] = [each.at for each in courses]
        self._find(keys, values)
        cos, sin = rotation
        delta = torch.empty_like(x)
        step.num_tokens, step.half = len(x), cos.shape[1]
        step.x, step.delta, step.slots, step.cos, step.sin = map(address, (x, delta, layout.new_slots, cos, sin))
        at = ctypes.addressof(step)
        num_bytes = _room(at)
        if num_bytes > len(self._room):
            self._room = torch.empty(num_bytes, dtype=torch.uint8)
        step.room = address(self._room)
        _run_layers(at)
        return delta

    def _as_data(self, layer: DenseLayer) -> _Layer:
        norms = layer.head_norms
        linears = {name: getattr(layer, name).weight for name in LINEARS}
        return _Layer(
            **linears,
            attention_norm=address(layer.attention_norm),
            mlp_norm=address(layer.mlp_norm),
            query_norm=address(norms.query if norms else None),
            key_norm=address(norms.key if norms else None),
            attention_post_norm=address(layer.attention_post_norm),
            mlp_post_norm=address(layer.mlp_post_norm),
            course=self._kinds.index(layer.kind),
            is_rotated=layer.is_rotated,
            is_gelu=layer.is_gelu,
        )

    def _find(self, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """Notes where the pools lie, unless they are those of the last step."""
        if self._pools and self._pools[0] is keys[0]:
            return
        self._pools = [*keys, *values]
        for layer, of_keys, of_values in zip(self._layers, keys, values, strict=True):
            layer.keys, layer.values = address(of_keys), address(of_values)


def fuse_layers(layers: Sequence[DenseLayer], epsilon: float) -> RunLayers | None:
    """None where an operation of a layer is left to torch, or wants its input filled up."""
    return FusedLayers(layers, epsilon) if all(map(_is_native, layers)) else None


def _is_native(layer: DenseLayer) -> bool:
    linears = [getattr(layer, name) for name in LINEARS]
    if layer.attention_norm.dtype not in ELEMENTS or layer.head_dim % VECTOR:
        return False
    if not all(isinstance(linear, NativeLinear) for linear in linears):
        return False
    width, heads = len(layer.attention_norm), layer.num_heads * layer.head_dim
    inner = layer.gate_up.weight.num_columns // 2  # type: ignore[attr-defined]
    return [linear.weight.width for linear in linears] == [width, heads, width, inner]
