"""What a decoder is, told by numbers: the same code runs all families."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding. dim: rotated dimensions of each head. kind: a key of models.rope.KINDS."""

    theta: float
    dim: int
    kind: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    max_positions: int = 0


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A pre-norm decoder with grouped-query attention and a gated MLP. Sizes in elements, window in tokens."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_epsilon: float
    rope: RopeConfig
    tied_embeddings: bool
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    fused_checkpoint: bool = False  # qkv and gate/up are one tensor each in the file
    windows: tuple[int | None, ...] = ()  # per layer
    rotated: tuple[bool, ...] = ()  # per layer: whether positions are embedded
    attention_scale: float = 0.0
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_divisor: float = 1.0

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.num_kv_heads * self.head_dim
