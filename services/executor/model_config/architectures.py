"""Architecture names and what their config.json means. An architecture of the usual shape is a function and a row.

Keys that a file may leave out differ from one to the next; defaults are those of transformers' configuration classes.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from xylem.services.executor.model_config import mla_config, moe_config
from xylem.services.executor.model_config.decoder_config import DecoderConfig, check_counts, check_numbers
from xylem.services.executor.model_config.moe_config import MoeConfig
from xylem.services.executor.model_config.quantization_config import fp8_block_of
from xylem.services.executor.model_config.rope_config import rope_config
from xylem.shared.model_info.model_card import ModelCard, ModelError

Config = dict[str, Any]

ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu"}
SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
OPTIONAL_SIZES = ("head_dim", "num_key_value_heads", "sliding_window", "max_window_layers")  # 0 is null


def _windows(config: Config, *, by_default: bool) -> tuple[int | None, ...]:
    """Returns the window of each layer. by_default: sliding_window counts even without use_sliding_window."""
    num_layers: int = config["num_hidden_layers"]
    window: int | None = config.get("sliding_window")
    if not window or not config.get("use_sliding_window", by_default):
        return (None,) * num_layers
    kinds = config.get("layer_types")
    if kinds is not None:
        if len(kinds) != num_layers:
            raise ModelError(f"layer_types names {len(kinds)} layers of {num_layers}")
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)
    first = 0 if by_default else config.get("max_window_layers", 0)
    return tuple(window if layer >= first else None for layer in range(num_layers))


def _alternating(config: Config, end: Any) -> Config:
    """Gives every other layer up to `end` a window, from the first one on, unless layer_types says otherwise."""
    if config.get("layer_types") is not None:
        return config
    windowed = [i % 2 == 0 and i < end for i in range(config["num_hidden_layers"])]
    return {**config, "layer_types": ["sliding_attention" if each else "full_attention" for each in windowed]}


def _base(config: Config, *, windows_by_default: bool = False) -> DecoderConfig:
    """Reads the keys that all architectures share. Raises ModelError for what is missing or not supported."""
    for name in SIZES:
        if type(config.get(name)) is not int or config[name] < 1:
            raise ModelError(f"{name} must be a positive integer, not {str(config.get(name))[:200]!r}")
    for name in OPTIONAL_SIZES:
        if config.get(name) is not None and (type(config[name]) is not int or config[name] < 0):
            raise ModelError(f"{name} must be a positive integer or null, not {str(config[name])[:200]!r}")
    try:
        num_layers, num_heads = config["num_hidden_layers"], config["num_attention_heads"]
        num_kv_heads = config.get("num_key_value_heads") or num_heads
        if num_heads % num_kv_heads:
            raise ModelError(f"{num_heads} attention heads can't share {num_kv_heads} key-value heads")
        head_dim = config.get("head_dim") or config["hidden_size"] // num_heads
        activation = config.get("hidden_act", "silu")
        if activation not in ACTIVATIONS:
            raise ModelError(f"hidden_act {activation!r} is not supported; there are: {', '.join(ACTIVATIONS)}")
        return DecoderConfig(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            intermediate_size=config["intermediate_size"],
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            norm_epsilon=config.get("rms_norm_eps", 1e-6),
            rope=rope_config(config, head_dim),
            tied_embeddings=bool(config.get("tie_word_embeddings", False)),
            windows=_windows(config, by_default=windows_by_default),
            rotated=(True,) * num_layers,
            attention_scale=head_dim**-0.5,
            activation=ACTIVATIONS[activation],
        )
    except KeyError as error:
        raise ModelError(f"config.json has no {error.args[0]}") from None


def _llama(config: Config) -> DecoderConfig:
    bias = bool(config.get("attention_bias", False))
    return replace(_base(config), qkv_bias=bias, output_bias=bias, mlp_bias=bool(config.get("mlp_bias", False)))


def _mistral(config: Config) -> DecoderConfig:
    return _base({"num_key_value_heads": 8, "sliding_window": 4096, **config}, windows_by_default=True)


QWEN: Config = {"num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28}


def _qwen2(config: Config) -> DecoderConfig:
    return replace(_base({**QWEN, **config}), qkv_bias=True)


def _qwen3(config: Config) -> DecoderConfig:
    return replace(_llama({**QWEN, "head_dim": 128, **config}), qk_norm=True, mlp_bias=False)


def _smollm3(config: Config) -> DecoderConfig:
    """Leaves positions out of every fourth layer, or of those that no_rope_layers marks 0; only these have windows."""
    config = {"num_key_value_heads": 4, "rope_theta": 2e6, "tie_word_embeddings": True, **config}
    interval = config.get("no_rope_layer_interval", 4)
    rotated = config.get("no_rope_layers")
    if rotated is None:
        rotated = [(layer + 1) % interval != 0 for layer in range(config["num_hidden_layers"])]
    rotated = rotated[: config["num_hidden_layers"]]
    kinds = config.get("layer_types") or ["full_attention" if value else "sliding_attention" for value in rotated]
    decoder = _llama({**config, "layer_types": kinds})
    if len(rotated) < decoder.num_layers:
        raise ModelError(f"no_rope_layers names {len(rotated)} layers of {decoder.num_layers}")
    return replace(decoder, rotated=tuple(bool(value) for value in rotated))


def _granite(config: Config) -> DecoderConfig:
    return replace(
        _llama(config),
        attention_scale=config.get("attention_multiplier", 1.0),
        embedding_multiplier=config.get("embedding_multiplier", 1.0),
        residual_multiplier=config.get("residual_multiplier", 1.0),
        logits_divisor=config.get("logits_scaling", 1.0),
    )


def _phi3(config: Config) -> DecoderConfig:
    decoder = _base({"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096, **config}, windows_by_default=True)
    kind = "longrope" if decoder.rope.kind == "yarn" else decoder.rope.kind  # early files call it "su" or "yarn"
    return replace(decoder, fused_checkpoint=True, rope=replace(decoder.rope, kind=kind))


GEMMA2: Config = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 4096,
    "query_pre_attn_scalar": 256,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "tie_word_embeddings": True,
}


def _gemma2(config: Config) -> DecoderConfig:
    config = _alternating({**GEMMA2, **config}, config.get("num_hidden_layers"))
    if config.get("use_bidirectional_attention"):
        raise ModelError("use_bidirectional_attention is not supported")
    bias = bool(config.get("attention_bias", False))
    decoder = _base(
        {**config, "hidden_act": config["hidden_activation"], "use_sliding_window": True}, windows_by_default=True
    )
    return replace(
        decoder,
        qkv_bias=bias,
        output_bias=bias,
        attention_scale=config["query_pre_attn_scalar"] ** -0.5,
        attention_cap=config["attn_logit_softcapping"],
        logits_cap=config["final_logit_softcapping"],
        embedding_multiplier=decoder.hidden_size**0.5,
        post_norms=True,
        norm_offset=1.0,
    )


def _mixtral(config: Config) -> DecoderConfig:
    decoder = _mistral({"sliding_window": None, "rope_theta": 1e6, "rms_norm_eps": 1e-5, **config})
    return replace(decoder, experts=moe_config.parse_mixtral(config))


def _qwen2_moe(config: Config) -> DecoderConfig:
    config = {**QWEN, "num_key_value_heads": 16, **config}
    config = _alternating(config, config["max_window_layers"])
    experts = moe_config.parse_qwen(config, num_experts=60, num_chosen=4, intermediate_size=1408)
    if experts is not None:
        shared_size = config.get("shared_expert_intermediate_size", 5632)
        experts = replace(experts, shared_size=shared_size, shared_gated=True, shared_name="shared_expert")
    return replace(_base(config), qkv_bias=config.get("qkv_bias", True), experts=experts)


def _qwen3_moe(config: Config) -> DecoderConfig:
    """Gives every layer the window, if there is one."""
    config = {**QWEN, "num_key_value_heads": 4, **config, "max_window_layers": 0, "layer_types": None}
    experts = moe_config.parse_qwen(config, num_experts=128, num_chosen=8, intermediate_size=768)
    bias = bool(config.get("attention_bias", False))
    return replace(_base(config), qkv_bias=bias, output_bias=bias, qk_norm=True, experts=experts)


def _deepseek(config: Config, experts: MoeConfig | None) -> DecoderConfig:
    """Reads a decoder with latent attention and without biases."""
    for name in ("attention_bias", "mlp_bias"):
        if config.get(name):
            raise ModelError(f"{name} is not supported in this architecture")
    latent = mla_config.parse_mla(config)
    of_heads = {"num_key_value_heads": 1, "head_dim": latent.key_dim, "sliding_window": None}
    rope = rope_config(config, latent.rotated_dim)
    return replace(
        _base({**config, **of_heads}),
        rope=rope,
        attention_scale=mla_config.attention_scale(latent, rope),
        experts=experts,
        latent=latent,
    )


def _deepseek_v2(config: Config) -> DecoderConfig:
    return _deepseek(config, moe_config.parse_deepseek_v2(config))


def _deepseek_v3(config: Config) -> DecoderConfig:
    decoder = _deepseek(config, moe_config.parse_deepseek_v3(config))
    return replace(decoder, num_unused_layers=config.get("num_nextn_predict_layers", 1))


ARCHITECTURES: dict[str, Callable[[Config], DecoderConfig]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _mistral,
    "Qwen2ForCausalLM": _qwen2,
    "Qwen3ForCausalLM": _qwen3,
    "SmolLM3ForCausalLM": _smollm3,
    "GraniteForCausalLM": _granite,
    "Phi3ForCausalLM": _phi3,
    "Gemma2ForCausalLM": _gemma2,
    "MixtralForCausalLM": _mixtral,
    "Qwen2MoeForCausalLM": _qwen2_moe,
    "Qwen3MoeForCausalLM": _qwen3_moe,
    "DeepseekV2ForCausalLM": _deepseek_v2,
    "DeepseekV3ForCausalLM": _deepseek_v3,
}


def decoder_config(card: ModelCard) -> DecoderConfig:
    """Returns the decoder of a model card. Raises ModelError that names what is not supported, and what is."""
    parse = ARCHITECTURES.get(card.architecture)
    if parse is None:
        raise ModelError(
            f"{card.path / 'config.json'}: the architecture {card.architecture} is not supported; "
            f"there are: {', '.join(ARCHITECTURES)}"
        )
    try:
        check_counts(card.config)
        decoder = parse(card.config)
        rope = replace(decoder.rope, num_positions=max(decoder.rope.max_positions, card.context_length))
        decoder = replace(decoder, rope=rope, fp8_block=fp8_block_of(card.config))
        if decoder.experts is not None and decoder.activation != "silu":
            raise ModelError(f"experts with {decoder.activation} are not supported; there is: silu")
        check_numbers(decoder)
        return decoder
    except (ArithmeticError, AttributeError, LookupError, ModelError, TypeError, ValueError) as error:
        raise ModelError(f"{card.path / 'config.json'}: {str(error)[:500] or type(error).__name__}") from None
