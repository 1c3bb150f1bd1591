"""Weight map of latent attention: the shapes of its parameters, and the checkpoint tensors that fill them.

`compress` multiplies the hidden state: rows for the query (or its latent), for the latent of keys and
values, for the key of positions. `query_up` and `kv_up` lead back to the heads.
"""

from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.weights.weight_slice import Shape, WeightSlice, stacked_slices


def parameter_shapes(config: DecoderConfig, i: int) -> dict[str, Shape]:
    """Returns the parameter shapes of layer i."""
    latent, width, num_heads = config.latent, config.hidden_size, config.num_heads
    assert latent is not None
    found: dict[str, Shape] = {
        f"{i}.kv_norm": (latent.rank,),
        f"{i}.kv_up": (num_heads * (latent.plain_dim + latent.value_dim), latent.rank),
        f"{i}.output": (width, num_heads * latent.value_dim),
    }
    query_size = num_heads * latent.query_dim
    if latent.query_rank is not None:
        found[f"{i}.query_norm"] = (latent.query_rank,)
        found[f"{i}.query_up"] = (query_size, latent.query_rank)
        query_size = latent.query_rank
    found[f"{i}.compress"] = (query_size + latent.key_dim, width)
    return found


def weight_slices(config: DecoderConfig, i: int) -> dict[str, WeightSlice]:
    """Returns the slice that each tensor of layer i fills."""
    latent, width, own = config.latent, config.hidden_size, parameter_shapes(config, i)
    assert latent is not None
    prefix = f"model.layers.{i}.self_attn"
    found = {f"{prefix}.kv_a_layernorm.weight": WeightSlice(f"{i}.kv_norm", 0, own[f"{i}.kv_norm"])}
    names = {"kv_b_proj": f"{i}.kv_up", "o_proj": f"{i}.output"}
    query = "q_proj"
    if latent.query_rank is not None:
        query = "q_a_proj"
        names["q_b_proj"] = f"{i}.query_up"
        found[f"{prefix}.q_a_layernorm.weight"] = WeightSlice(f"{i}.query_norm", 0, own[f"{i}.query_norm"])
    for name, parameter in names.items():
        found[f"{prefix}.{name}.weight"] = WeightSlice(parameter, 0, own[parameter])
    sizes = (own[f"{i}.compress"][0] - latent.key_dim, latent.key_dim)
    return found | stacked_slices(prefix, (query, "kv_a_proj_with_mqa"), sizes, f"{i}.compress", width)
