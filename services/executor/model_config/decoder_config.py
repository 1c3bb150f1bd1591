"""What a decoder is, told by numbers: the same code runs all families."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding. dim: rotated dimensions of each head. kind: a key of models.rope.KINDS."""

    theta: float
    dim: int
    kind: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    max_positions: int = 0


@dataclass(frozen=True, slots=True)
class MlaConfig:
    """Latent attention: keys and values of all heads come out of one latent per token. Sizes in elements.

    Of each head's query and key, plain_dim dimensions come out of latents, rotated_dim carry the position.
    """

    query_rank: int | None  # of the latent that queries come out of, if they do
    rank: int
    plain_dim: int
    rotated_dim: int
    value_dim: int
    interleaved: bool  # pairs that rotate together are neighbours in the checkpoint

    @property
    def query_dim(self) -> int:
        return self.plain_dim + self.rotated_dim

    @property
    def key_dim(self) -> int:
        """What is kept of a token."""
        return self.rank + self.rotated_dim


@dataclass(frozen=True, slots=True)
class MoeConfig:
    """Mixtures of experts: in which layers, how large, how a token gets its own. See models.routing.

    block, shared_name: what checkpoints call the MLP and the shared expert.
    """

    layers: tuple[bool, ...]  # per layer: whether it has experts, or else one MLP
    num_experts: int
    num_chosen: int
    intermediate_size: int
    scoring: Literal["softmax", "sigmoid"] = "softmax"
    biased: bool = False
    normalised: bool = False  # the weights of a token's experts add up to 1, before scaling
    scaling: float = 1.0
    num_groups: int = 1
    num_chosen_groups: int = 1
    num_group_best: int = 1  # how many of its experts speak for a group
    shared_size: int = 0
    shared_gated: bool = False
    block: str = "mlp"
    shared_name: str = "shared_experts"


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A pre-norm decoder with grouped-query attention and a gated MLP. Sizes in elements, window in tokens.

    With `latent`, num_kv_heads is 1 and head_dim latent.key_dim: that is what attention reads, values included.
    """

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
    attention_cap: float | None = None  # of scores, and of logits: see interface.py.Attention
    logits_cap: float | None = None
    activation: str = "silu"  # or "gelu"
    post_norms: bool = False  # behind attention and MLP as well, before they are added
    norm_offset: float = 0.0  # that weights of norms are stored without
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_divisor: float = 1.0
    experts: MoeConfig | None = None
    latent: MlaConfig | None = None
    fp8_block: tuple[int, int] | None = None  # see models.fp8
    num_unused_layers: int = 0  # after the last one: checkpoints carry modules there that predict further tokens

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.num_kv_heads * self.head_dim

    def has_experts(self, i: int) -> bool:
        """Whether the MLP of layer i is a mixture of experts."""
        return self.experts is not None and self.experts.layers[i]
