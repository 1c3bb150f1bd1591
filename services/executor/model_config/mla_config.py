"""What config.json says about latent attention (DeepSeek)."""

from typing import Any

from xylem.services.executor.model_config.decoder_config import MlaConfig, RopeConfig
from xylem.services.executor.models.rope import magnitude

Config = dict[str, Any]


def latent_config(config: Config) -> MlaConfig:
    """What a file leaves out is as in transformers' configuration classes."""
    return MlaConfig(
        query_rank=config.get("q_lora_rank", 1536),
        rank=config.get("kv_lora_rank", 512),
        plain_dim=config.get("qk_nope_head_dim", 128),
        rotated_dim=config.get("qk_rope_head_dim", 64),
        value_dim=config.get("v_head_dim", 128),
        interleaved=config.get("rope_interleave", True),
    )


def attention_scale(latent: MlaConfig, rope: RopeConfig) -> float:
    """That of the heads before compression; a stretched rope (mscale_all_dim) makes it larger on both sides."""
    scale = float(latent.query_dim**-0.5)
    all_dim = rope.parameters.get("mscale_all_dim")
    if rope.kind == "default" or not all_dim:
        return scale
    return scale * magnitude(float(rope.parameters["factor"]), all_dim) ** 2
