"""The parameters of a decoder: their shapes here, their names and places in checkpoint files."""

from dataclasses import dataclass

from services.executor.models.config import DecoderConfig

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint tensor goes: rows [first, first + shape[0]) of a parameter."""

    parameter: str
    first: int
    shape: Shape


def shapes(config: DecoderConfig) -> dict[str, Shape]:
    """Every parameter. q, k, v are one, and so are gate and up."""
    c = config
    qkv = c.query_size + 2 * c.kv_size
    found: dict[str, Shape] = {"embedding": (c.vocab_size, c.hidden_size), "norm": (c.hidden_size,)}
    if not c.tied_embeddings:
        found["head"] = (c.vocab_size, c.hidden_size)
    for i in range(c.num_layers):
        found |= {
            f"{i}.attention_norm": (c.hidden_size,),
            f"{i}.qkv": (qkv, c.hidden_size),
            f"{i}.output": (c.hidden_size, c.query_size),
            f"{i}.mlp_norm": (c.hidden_size,),
            f"{i}.gate_up": (2 * c.intermediate_size, c.hidden_size),
            f"{i}.down": (c.hidden_size, c.intermediate_size),
        }
        if c.qkv_bias:
            found[f"{i}.qkv_bias"] = (qkv,)
        if c.output_bias:
            found[f"{i}.output_bias"] = (c.hidden_size,)
        if c.mlp_bias:
            found[f"{i}.gate_up_bias"] = (2 * c.intermediate_size,)
            found[f"{i}.down_bias"] = (c.hidden_size,)
        if c.qk_norm:
            found[f"{i}.q_norm"] = (c.head_dim,)
            found[f"{i}.k_norm"] = (c.head_dim,)
    return found


def places(config: DecoderConfig) -> dict[str, Place]:
    """Where each tensor of a checkpoint belongs."""
    c = config
    found = {
        "model.embed_tokens.weight": Place("embedding", 0, (c.vocab_size, c.hidden_size)),
        "model.norm.weight": Place("norm", 0, (c.hidden_size,)),
    }
    if not c.tied_embeddings:
        found["lm_head.weight"] = Place("head", 0, (c.vocab_size, c.hidden_size))
    for i in range(c.num_layers):
        layer = f"model.layers.{i}"
        found[f"{layer}.input_layernorm.weight"] = Place(f"{i}.attention_norm", 0, (c.hidden_size,))
        found[f"{layer}.post_attention_layernorm.weight"] = Place(f"{i}.mlp_norm", 0, (c.hidden_size,))
        attention = ("qkv_proj",) if c.fused_checkpoint else ("q_proj", "k_proj", "v_proj")
        sizes: Shape = (c.query_size, c.kv_size, c.kv_size)
        sizes = (sum(sizes),) if c.fused_checkpoint else sizes
        _stack(found, f"{layer}.self_attn", attention, sizes, f"{i}.qkv", c.hidden_size, bias=c.qkv_bias)
        mlp = ("gate_up_proj",) if c.fused_checkpoint else ("gate_proj", "up_proj")
        sizes = (2 * c.intermediate_size,) if c.fused_checkpoint else (c.intermediate_size,) * 2
        _stack(found, f"{layer}.mlp", mlp, sizes, f"{i}.gate_up", c.hidden_size, bias=c.mlp_bias)
        _stack(
            found, f"{layer}.self_attn", ("o_proj",), (c.hidden_size,), f"{i}.output", c.query_size, bias=c.output_bias
        )
        _stack(
            found, f"{layer}.mlp", ("down_proj",), (c.hidden_size,), f"{i}.down", c.intermediate_size, bias=c.mlp_bias
        )
        if c.qk_norm:
            found[f"{layer}.self_attn.q_norm.weight"] = Place(f"{i}.q_norm", 0, (c.head_dim,))
            found[f"{layer}.self_attn.k_norm.weight"] = Place(f"{i}.k_norm", 0, (c.head_dim,))
    return found


def _stack(
    found: dict[str, Place], prefix: str, names: tuple[str, ...], sizes: tuple[int, ...], parameter: str, width: int,
    *, bias: bool,
) -> None:  # fmt: skip
    """Tensors of a checkpoint that lie one below the other in one parameter."""
    first = 0
    for name, size in zip(names, sizes, strict=True):
        found[f"{prefix}.{name}.weight"] = Place(parameter, first, (size, width))
        if bias:
            found[f"{prefix}.{name}.bias"] = Place(f"{parameter}_bias", first, (size,))
        first += size
