"""The shape of a decoder in numbers: the same code runs all architectures."""

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from xylem.services.executor.model_config.mla_config import MlaConfig
from xylem.services.executor.model_config.moe_config import MoeConfig
from xylem.services.executor.model_config.rope_config import RopeConfig
from xylem.shared.model_info.model_error import ModelError

INT32_MAX = 2**31 - 1
MAX_COUNT = 1 << 16  # of layers, heads, experts


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A pre-norm decoder (post_norms: with norms behind, too), grouped-query attention, a gated MLP. Sizes in elements,
    window in tokens.

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
    norm_offset: float = 0.0  # added to norm weights (Gemma stores w - 1)
    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    logits_divisor: float = 1.0
    experts: MoeConfig | None = None
    latent: MlaConfig | None = None
    fp8_block: tuple[int, int] | None = None  # rows and columns of an FP8 weight that share a scale
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


def check_counts(config: dict[str, Any]) -> None:
    """Raises ModelError for a number of layers, heads or experts that no model has: lists are made of so many."""
    for name, value in config.items():
        if name.startswith(("num_", "n_", "max_window")) and isinstance(value, int | float) and not value <= MAX_COUNT:
            raise ModelError(f"{name} is out of range: {value}")


def check_numbers(value: Any, name: str = "config") -> None:
    """Raises ModelError for a number that no decoder has: an integer beyond int32, or a float that is not finite."""
    if is_dataclass(value):
        for field in fields(value):
            check_numbers(getattr(value, field.name), field.name)
    elif isinstance(value, dict):
        for key, each in value.items():
            check_numbers(each, str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            check_numbers(each, name)
    elif isinstance(value, int) and abs(value) > INT32_MAX:
        raise ModelError(f"{name} is out of range: {value}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ModelError(f"{name} must be a finite number, not {value}")
