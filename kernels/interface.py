"""The operations that a decoder is made of, as every backend provides them; registry.py says which backends there are.

A backend is a set of functions with the shapes below. `reference` is plain torch and says what is right; every other
backend is tested against it (tests/kernels). What a backend has no faster way for it takes from the reference.

Shapes: T tokens of all rows of a step laid end to end, H query heads, K key-value heads (K divides H), D head size,
S slots of the KV pool (pages x page size), V vocabulary, E experts, of which each token goes through k, F their inner
size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.batch_metadata import BatchMetadata, DeviceBatch, RowSpan
from xylem.kernels.head_norms import HeadNorms
from xylem.kernels.logits_adjustment import LogitsAdjustment
from xylem.kernels.sampling_batch import Draw, SamplingBatch
from xylem.kernels.token_logprobs import RowLogprobs, Score

__all__ = [
    "LINEARS",
    "AddRmsNorm",
    "Adjust",
    "Attention",
    "AttentionKind",
    "BatchMetadata",
    "DenseLayer",
    "DeviceBatch",
    "Draw",
    "Experts",
    "HeadNorms",
    "Linear",
    "LogitsAdjustment",
    "MixExperts",
    "NoSuchQuantization",
    "Ops",
    "PackExperts",
    "PackLinear",
    "RotateAndWrite",
    "RowLogprobs",
    "RowSpan",
    "RunLayers",
    "SamplingBatch",
    "Score",
    "WriteLatent",
]


class Linear(Protocol):
    """x W^T + b of a weight and a bias that the backend has laid out as it wants them.

    x: [T, N]. Gives [T, M], of x's type, or of the one asked for without rounding to x's on the way if it can.
    """

    def __call__(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor: ...


# From a weight [M, N] and a bias [M] or None, when a model is loaded. The weight is not kept, unless as it is.
PackLinear = Callable[[Tensor, Tensor | None], Linear]


class Attention(Protocol):
    """Causal attention of new tokens over the paged KV of their rows.

    query: [T, H, D]; keys, values: [S, K, D], already holding the new tokens. They may be the same tensor (latent
    attention, with K = 1 and neither window nor cap). Gives [T, H, D].
    """

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata, kind: AttentionKind, /
    ) -> Tensor: ...


class AddRmsNorm(Protocol):
    """Adds delta [T, N] to x [T, N] in place; gives the root mean square norm of the sum (Zhang and Sennrich 2019, in
    float32 inside), times weight [N] + offset: some families keep the distance of their weights from 1."""

    def __call__(
        self, x: Tensor, delta: Tensor | None, weight: Tensor, epsilon: float, *, offset: float = 0.0
    ) -> Tensor: ...


Experts = Tensor | Sequence[Linear]  # weights of all experts of a layer, as `mix_experts` of a backend wants them


class PackExperts(Protocol):
    """weight: [E, M, N], a linear layer of each expert; pack: how one is made. Once, when a model is loaded."""

    def __call__(self, weight: Tensor, pack: PackLinear, /) -> Experts: ...


class MixExperts(Protocol):
    """Sparse mixture of experts (Shazeer et al. 2017), each of them a gated MLP.

    x: [T, N]; gate_up, down: [E, 2F, N] and [E, N, F], packed; experts: [T, k] int64, for each token k different ones;
    weights: [T, k] float32, of their results. Gives [T, N]. What a token gets depends on its own row only.
    """

    def __call__(self, x: Tensor, gate_up: Any, down: Any, experts: Tensor, weights: Tensor, /) -> Tensor: ...


class WriteLatent(Protocol):
    """Is RotateAndWrite for latent attention (DeepSeek-V2 2024): one latent and one key for all heads.

    query: [T, H, R], the part that carries positions. latent: [T, C + R], the compressed keys and values, and the key
    that carries positions. norm: weight [C] of a root mean square norm of the former. rotation: cos, sin [T, R/2]
    float32, as in RotateAndWrite, of the query and the key. keys: [S, 1, C + R], where both go, at slots [T]. Gives the
    rotated query [T, H, R].
    """

    def __call__(
        self,
        query: Tensor,
        latent: Tensor,
        keys: Tensor,
        slots: Tensor,
        *,
        norm: Tensor,
        epsilon: float,
        rotation: tuple[Tensor, Tensor],
    ) -> Tensor: ...


class RotateAndWrite(Protocol):
    """Does what happens between the projection of a layer and its attention, in one pass.

    qkv: [T, (H + 2K) x D], queries, keys and values side by side. keys, values: [S, K, D], where the new tokens go, at
    slots [T]. norms: those of each head of the queries and keys, if the model has them, before the rotation. rotation:
    cos, sin [T, R/2] float32, or None: rotary embedding (Su et al. 2021) of the first R dimensions, where dimension i
    pairs with i + R/2. Gives the queries, [T, H, D].
    """

    def __call__(
        self,
        qkv: Tensor,
        keys: Tensor,
        values: Tensor,
        slots: Tensor,
        *,
        norms: HeadNorms | None,
        rotation: tuple[Tensor, Tensor] | None,
    ) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A layer of a decoder as data: grouped attention, then a gated MLP, with a norm [N] before each and perhaps one
    behind.

    norm_offset: of these norms; is_rotated: whether queries and keys are; is_gelu: the MLP's activation, which else is
    SiLU.
    """

    attention_norm: Tensor
    qkv: Linear
    head_norms: HeadNorms | None
    is_rotated: bool
    num_heads: int
    num_kv_heads: int
    head_dim: int
    kind: AttentionKind
    output: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear
    is_gelu: bool = False
    norm_offset: float = 0.0
    attention_post_norm: Tensor | None = None
    mlp_post_norm: Tensor | None = None


LINEARS = ("qkv", "output", "gate_up", "down")  # of a DenseLayer


class RunLayers(Protocol):
    """All layers of a step, one after the other: exactly what the operations give that they are made of.

    x: [T, N], to which the results of all but the last product are added in place; that one is given: [T, N]. keys,
    values: the pools of each layer. rotation: as in RotateAndWrite.
    """

    def __call__(
        self,
        x: Tensor,
        layout: BatchMetadata,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        rotation: tuple[Tensor, Tensor],
    ) -> Tensor: ...


class Adjust(Protocol):
    """Changes logits [B, V] float32 in place, each row by its own adjustment; None leaves a row as it is.

    mask: int32 [B, V/32 rounded up], what a grammar allows: bit t % 32 of word t // 32 is 1 for token t (xgrammar's
    order). A row of -1 allows all, and bits past the vocabulary do not matter. None: no row has a grammar.

    Order: repetition, then frequency and presence, biases, the mask, forbidden tokens. Forbidden tokens stay allowed
    where nothing else is left, so that a grammar that allows nothing but the end of the sequence may end it. A mask
    that allows nothing leaves a row of minus infinity, from which `sample` takes token 0: who holds the grammar sees
    that it was not allowed.
    """

    def __call__(self, logits: Tensor, adjustments: Sequence[LogitsAdjustment | None], mask: Tensor | None) -> None: ...


class NoSuchQuantization(ValueError):
    """A backend can't hold weights in the form that was asked for."""


@dataclass(frozen=True)
class Ops:
    """One backend.

    add_rms_norm: see AddRmsNorm.
    rotate_and_write, write_latent: see RotateAndWrite and WriteLatent.
    silu_and_mul, gelu_and_mul(x [T, 2N]) -> [T, N]: SiLU, or GELU in its tanh form, of the first half times the second
    (SwiGLU and GEGLU, Shazeer 2020).
    linears: how linear layers are made, by the quantization of their weights; see PackLinear and `packing`.
    pack_experts, mix_experts: see PackExperts and MixExperts.
    new_kv((P, S, K, D), dtype, device) -> P pools of zeros, where this backend reads fastest.
    copy_kv(pools [P, S, K, D], source, target, count): slots [source, source + count) to those from target on, in all.
    attention: see Attention.
    fuse_layers(layers, epsilon of their norms): see RunLayers; None where the backend has no faster way for them than
    one operation after the other.
    adjust, score: see Adjust and Score.
    sample(logits [B, V] float32, B draws, B positions) -> B token ids; position: index in its sequence of the token to
    be drawn. A row's token depends on its own logits, draw and position only. A row without one finite highest logit
    gives the first of its highest, whatever its draw.
    sample_on_device(logits [B, V] float32, columns of B draws, positions [B] int64) -> [B] int64: the same tokens, but
    for rounding, which stay on the device; the host looks at no value, so that a CUDA graph can hold it.
    """

    name: str
    add_rms_norm: AddRmsNorm
    rotate_and_write: RotateAndWrite
    write_latent: WriteLatent
    silu_and_mul: Callable[[Tensor], Tensor]
    gelu_and_mul: Callable[[Tensor], Tensor]
    linears: Mapping[str, PackLinear]
    pack_experts: PackExperts
    mix_experts: MixExperts
    new_kv: Callable[[tuple[int, ...], torch.dtype, torch.device], Tensor]
    copy_kv: Callable[[Tensor, int, int, int], None]
    attention: Attention
    fuse_layers: Callable[[Sequence[DenseLayer], float], RunLayers | None]
    adjust: Adjust
    score: Score
    sample: Callable[[Tensor, Sequence[Draw], Sequence[int]], list[int]]
    sample_on_device: Callable[[Tensor, SamplingBatch, Tensor], Tensor]
    claims_work: bool = False

    def packing(self, quantization: str) -> PackLinear:
        """Raises NoSuchQuantization."""
        if quantization not in self.linears:
            has = ", ".join(self.linears)
            raise NoSuchQuantization(
                f"the kernel backend {self.name} has no quantization {quantization!r}; it has: {has}"
            )
        return self.linears[quantization]
