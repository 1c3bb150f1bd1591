"""The operations that a decoder is made of, and the table of backends that provide them.

A backend is a set of functions with the shapes below. `reference` is plain torch and says what is right; every other
backend is tested against it (tests/kernels). What a backend has no faster way for it takes from the reference.

Shapes: T tokens of all rows of a step laid end to end, H query heads, K key-value heads (K divides H), D head size,
S slots of the KV pool (pages x page size), V vocabulary.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kernels.adjustment import Adjustment
from kernels.draw_columns import Draw, DrawColumns
from kernels.failures import BackendUnavailable
from kernels.head_norms import HeadNorms
from kernels.layout import Layout, Rows, Span
from kernels.scored import Scored

__all__ = [
    "BACKENDS",
    "Adjust",
    "Adjustment",
    "Attention",
    "BackendUnavailable",
    "Draw",
    "DrawColumns",
    "HeadNorms",
    "Layout",
    "NoSuchBackend",
    "Ops",
    "Rows",
    "Score",
    "Scored",
    "Span",
    "load",
]


log = logging.getLogger(__name__)


class Attention(Protocol):
    """Causal attention of new tokens over the paged KV of their rows.

    query: [T, H, D]; keys, values: [S, K, D], already holding the new tokens; window: keys that a token sees, itself
    included, or None for all. Gives [T, H, D].
    """

    def __call__(
        self, query: Tensor, keys: Tensor, values: Tensor, layout: Layout, *, scale: float, window: int | None
    ) -> Tensor: ...


class RotateAndWrite(Protocol):
    """What happens between the projection of a layer and its attention, in one pass.

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


class Adjust(Protocol):
    """Changes logits [B, V] float32 in place, each row by its own adjustment; None leaves a row as it is.

    mask: int32 [B, V/32 rounded up], what a grammar allows: bit t % 32 of word t // 32 is 1 for token t (xgrammar's
    order). A row of -1 allows all, and bits past the vocabulary do not matter. None: no row has a grammar.

    Order: repetition, then frequency and presence, biases, the mask, forbidden tokens. Forbidden tokens stay allowed
    where nothing else is left, so that a grammar that allows nothing but the end of the sequence may end it. A mask
    that allows nothing leaves a row of minus infinity, from which `sample` takes token 0: who holds the grammar sees
    that it was not allowed.
    """

    def __call__(self, logits: Tensor, adjustments: Sequence[Adjustment | None], mask: Tensor | None) -> None: ...


class Score(Protocol):
    """Log probabilities, to 1e-5, from the softmax of logits [B, V] float32: one Scored per row.

    tokens: the token of each row whose log probability is wanted; num_top: how many of the likeliest; asked: further
    tokens by id. What the model says is told from its own logits: `adjust` changes them in place, so who wants both
    scores a copy from before.
    """

    def __call__(
        self, logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
    ) -> list[Scored]: ...


@dataclass(frozen=True)
class Ops:
    """One backend.

    add_rms_norm(x [T, N], delta [T, N] or None, weight [N], epsilon) -> [T, N]: adds delta to x in place, and gives the
    root mean square norm of the sum (Zhang and Sennrich 2019, in float32 inside).
    rotate_and_write: see RotateAndWrite.
    silu_and_mul(x [T, 2N]) -> [T, N]: SiLU of the first half times the second (SwiGLU, Shazeer 2020).
    pack(weight [M, N]) -> the same weight as `linear` of this backend wants it; made once, when a model is loaded.
    linear(x [T, N], packed weight, bias [M] or None) -> [T, M].
    copy_kv(pool [S, K, D], source, target, count): slots [source, source + count) to those from target on.
    attention: see Attention.
    adjust, score: see Adjust and Score.
    sample(logits [B, V] float32, B draws, B positions) -> B token ids; position: index in its sequence of the token to
    be drawn. A row's token depends on its own logits, draw and position only. A row without one finite highest logit
    gives the first of its highest, whatever its draw.
    sample_on_device(logits [B, V] float32, columns of B draws, positions [B] int64) -> [B] int64: the same tokens, but
    for rounding, which stay on the device; the host looks at no value, so that a CUDA graph can hold it.
    """

    name: str
    add_rms_norm: Callable[[Tensor, Tensor | None, Tensor, float], Tensor]
    rotate_and_write: RotateAndWrite
    silu_and_mul: Callable[[Tensor], Tensor]
    pack: Callable[[Tensor], Tensor]
    linear: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    copy_kv: Callable[[Tensor, int, int, int], None]
    attention: Attention
    adjust: Adjust
    score: Score
    sample: Callable[[Tensor, Sequence[Draw], Sequence[int]], list[int]]
    sample_on_device: Callable[[Tensor, DrawColumns, Tensor], Tensor]


def _reference(device: torch.device) -> Ops:
    from kernels import reference

    return reference.OPS


def _cpu(device: torch.device) -> Ops:
    from kernels import cpu

    return cpu.OPS


def _native(device: torch.device) -> Ops:
    from kernels import native

    return native.OPS


def _triton(device: torch.device) -> Ops:
    try:
        from kernels import triton
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"the package {error.name} is not installed") from None
    return triton.load(device)


def _flashinfer(device: torch.device) -> Ops:
    try:
        from kernels import flashinfer
    except ModuleNotFoundError as error:
        raise BackendUnavailable(f"the package {error.name} is not installed") from None
    return flashinfer.load(device)


# Imported when asked for: a backend may need a package or a device that is not here.
BACKENDS: dict[str, Callable[[torch.device], Ops]] = {
    "reference": _reference,
    "cpu": _cpu,
    "native": _native,
    "triton": _triton,
    "flashinfer": _flashinfer,
}
# Of each kind of device, the fastest first. FlashInfer has to be asked for: it may compile for minutes at the start.
PREFERRED = {"cpu": ("native", "cpu"), "cuda": ("triton",)}


class NoSuchBackend(ValueError):
    """A backend that was asked for by name does not exist."""


def load(name: str, device: torch.device) -> Ops:
    """The backend of a name; 'auto' takes the fastest one that this machine has for the device.

    Raises NoSuchBackend, and BackendUnavailable for one that was asked for by name.
    """
    if name != "auto":
        if name not in BACKENDS:
            raise NoSuchBackend(f"there is no kernel backend {name!r}; there are: auto, {', '.join(BACKENDS)}")
        return BACKENDS[name](device)
    for preferred in PREFERRED.get(device.type, ()):
        try:
            return BACKENDS[preferred](device)
        except BackendUnavailable as reason:
            log.info("the kernel backend %s is not used: %s", preferred, reason)
    return BACKENDS["reference"](device)
