"""Multi-head latent attention (DeepSeek) as config.json describes it."""

from dataclasses import dataclass
from typing import Any

from xylem.services.executor.model_config.rope_config import RopeConfig, yarn_magnitude

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MlaConfig:
    """Latent attention: keys and values of all heads are linear maps of one latent per token. Sizes in elements.

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
        """Elements that the KV cache holds of a token."""
        return self.rank + self.rotated_dim


def parse_mla(config: Config) -> MlaConfig:
    """Reads the sizes; keys that a file leaves out are as in transformers' configuration classes."""
    return MlaConfig(
        query_rank=config.get("q_lora_rank", 1536),
        rank=config.get("kv_lora_rank", 512),
        plain_dim=config.get("qk_nope_head_dim", 128),
        rotated_dim=config.get("qk_rope_head_dim", 64),
        value_dim=config.get("v_head_dim", 128),
        interleaved=config.get("rope_interleave", True),
    )


def attention_scale(latent: MlaConfig, rope: RopeConfig) -> float:
    """Returns the scale of the heads before compression; a stretched rope (mscale_all_dim) enlarges both sides."""
    scale = float(latent.query_dim**-0.5)
    all_dim = rope.parameters.get("mscale_all_dim")
    if rope.kind == "default" or not all_dim:
        return scale
    return scale * yarn_magnitude(float(rope.parameters["factor"]), all_dim) ** 2
