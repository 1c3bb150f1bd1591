"""Weight map of a decoder: the shapes of its parameters, and the checkpoint tensors that fill them."""

from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.weights import mla_map, moe_map
from xylem.services.executor.weights.weight_slice import Shape, WeightSlice, stacked_slices

# These stay float32 whatever the type of the model: small differences decide which experts are chosen.
WIDE = (".router", ".router_bias")

# Names of a layer's norms in checkpoints, with two norms a layer and with four.
NORMS = {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
POST_NORMS = {
    "attention_norm": "input_layernorm",
    "attention_post_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "mlp_post_norm": "post_feedforward_layernorm",
}


def parameter_shapes(config: DecoderConfig) -> dict[str, Shape]:
    """Returns the shape of every parameter. q, k, v are one parameter, and so are gate and up."""
    c = config
    found: dict[str, Shape] = {"embedding": (c.vocab_size, c.hidden_size), "norm": (c.hidden_size,)}
    if not c.tied_embeddings:
        found["head"] = (c.vocab_size, c.hidden_size)
    for i in range(c.num_layers):
        found |= {f"{i}.{norm}": (c.hidden_size,) for norm in _norms(c)}
        found |= mla_map.parameter_shapes(c, i) if c.latent is not None else _attention_shapes(c, i)
        found |= moe_map.parameter_shapes(c, i) if c.has_experts(i) else _mlp_shapes(c, i)
    return found


def _norms(c: DecoderConfig) -> dict[str, str]:
    return POST_NORMS if c.post_norms else NORMS


def _attention_shapes(c: DecoderConfig, i: int) -> dict[str, Shape]:
    qkv = c.query_size + 2 * c.kv_size
    found: dict[str, Shape] = {f"{i}.qkv": (qkv, c.hidden_size), f"{i}.output": (c.hidden_size, c.query_size)}
    if c.qkv_bias:
        found[f"{i}.qkv_bias"] = (qkv,)
    if c.output_bias:
        found[f"{i}.output_bias"] = (c.hidden_size,)
    if c.qk_norm:
        found[f"{i}.q_norm"] = (c.head_dim,)
        found[f"{i}.k_norm"] = (c.head_dim,)
    return found


def _mlp_shapes(c: DecoderConfig, i: int) -> dict[str, Shape]:
    found: dict[str, Shape] = {
        f"{i}.gate_up": (2 * c.intermediate_size, c.hidden_size),
        f"{i}.down": (c.hidden_size, c.intermediate_size),
    }
    if c.mlp_bias:
        found[f"{i}.gate_up_bias"] = (2 * c.intermediate_size,)
        found[f"{i}.down_bias"] = (c.hidden_size,)
    return found


def weight_slices(config: DecoderConfig) -> dict[str, WeightSlice]:
    """Returns the parameter slice that each tensor of a checkpoint fills."""
    c = config
    found = {
        "model.embed_tokens.weight": WeightSlice("embedding", 0, (c.vocab_size, c.hidden_size)),
        "model.norm.weight": WeightSlice("norm", 0, (c.hidden_size,)),
    }
    if not c.tied_embeddings:
        found["lm_head.weight"] = WeightSlice("head", 0, (c.vocab_size, c.hidden_size))
    for i in range(c.num_layers):
        layer = f"model.layers.{i}"
        found |= {
            f"{layer}.{name}.weight": WeightSlice(f"{i}.{norm}", 0, (c.hidden_size,))
            for norm, name in _norms(c).items()
        }
        attention = f"{layer}.self_attn"
        found |= mla_map.weight_slices(c, i) if c.latent is not None else _attention_slices(c, i, attention)
        found |= moe_map.weight_slices(c, i) if c.has_experts(i) else _mlp_slices(c, i, f"{layer}.mlp")
    return found


def alternative_slices(config: DecoderConfig) -> dict[str, WeightSlice]:
    """Returns the slices of tensors that may come instead, under other names and shapes."""
    found: dict[str, WeightSlice] = {}
    for i in range(config.num_layers):
        if config.has_experts(i):
            found |= moe_map.alternative_slices(config, i)
    return found


def _attention_slices(c: DecoderConfig, i: int, prefix: str) -> dict[str, WeightSlice]:
    names = ("qkv_proj",) if c.fused_checkpoint else ("q_proj", "k_proj", "v_proj")
    sizes: Shape = (c.query_size, c.kv_size, c.kv_size)
    sizes = (sum(sizes),) if c.fused_checkpoint else sizes
    found = stacked_slices(prefix, names, sizes, f"{i}.qkv", c.hidden_size, bias=c.qkv_bias)
    found |= stacked_slices(prefix, ("o_proj",), (c.hidden_size,), f"{i}.output", c.query_size, bias=c.output_bias)
    if c.qk_norm:
        found[f"{prefix}.q_norm.weight"] = WeightSlice(f"{i}.q_norm", 0, (c.head_dim,))
        found[f"{prefix}.k_norm.weight"] = WeightSlice(f"{i}.k_norm", 0, (c.head_dim,))
    return found


def _mlp_slices(c: DecoderConfig, i: int, prefix: str) -> dict[str, WeightSlice]:
    names = ("gate_up_proj",) if c.fused_checkpoint else ("gate_proj", "up_proj")
    sizes: Shape = (2 * c.intermediate_size,) if c.fused_checkpoint else (c.intermediate_size,) * 2
    found = stacked_slices(prefix, names, sizes, f"{i}.gate_up", c.hidden_size, bias=c.mlp_bias)
    return found | stacked_slices(
        prefix, ("down_proj",), (c.hidden_size,), f"{i}.down", c.intermediate_size, bias=c.mlp_bias
    )
