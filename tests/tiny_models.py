"""Random tiny models of every architecture, written as a real model folder."""

from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

BASE: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # peaked enough that no two logits are nearly equal
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}

LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
YARN_ROPE = {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 128}
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 256,
    "short_factor": [1.0, 1.05, 1.1, 1.2], "long_factor": [1.0, 1.5, 2.0, 4.0],
}  # fmt: skip

MSCALE_ROPE = {**YARN_ROPE, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.7}
LATENT: dict[str, Any] = {
    "num_key_value_heads": 4, "kv_lora_rank": 24, "q_lora_rank": None, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16,
    "v_head_dim": 12, "n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 40,
    "first_k_dense_replace": 1,
}  # fmt: skip
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40}

# name -> (transformers' model type, changes to BASE)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-tied-biased": ("llama", {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}),
    "llama-mha-head-dim": ("llama", {"num_key_value_heads": 4, "head_dim": 32}),
    "llama3-rope": ("llama", {"rope_parameters": LLAMA3_ROPE}),
    "llama-linear-rope": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "llama-dynamic-rope": ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}),
    "llama-yarn-rope": ("llama", {"rope_parameters": YARN_ROPE}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-window": ("mistral", {"sliding_window": 9, "head_dim": 24}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2-window": ("qwen2", {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}),
    "qwen3": ("qwen3", {"head_dim": 32}),
    "smollm3": ("smollm3", {"num_hidden_layers": 4, "use_sliding_window": False}),
    "granite": (
        "granite",
        {
            "attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "logits_scaling": 2.0,
        },
    ),
    "gemma2": (
        "gemma2",
        {
            "head_dim": 32, "sliding_window": 9, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 20.0,
            "final_logit_softcapping": 8.0, "tie_word_embeddings": True,
        },
    ),
    "gemma2-uncapped": (
        "gemma2",
        {
            "head_dim": 16, "sliding_window": 64, "attn_logit_softcapping": None, "final_logit_softcapping": None,
            "attention_bias": True, "tie_word_embeddings": False,
        },
    ),
    "phi3": ("phi3", {"sliding_window": None}),
    "phi3-window": ("phi3", {"sliding_window": 9}),
    "phi3-longrope": (
        "phi3",
        {
            "sliding_window": None, "rope_parameters": {**LONG_ROPE, "partial_rotary_factor": 0.5},
            "original_max_position_embeddings": 256,
        },
    ),
    "mixtral": ("mixtral", {"num_local_experts": 4, "sliding_window": None}),
    "mixtral-window": ("mixtral", {"num_local_experts": 3, "sliding_window": 9}),
    "qwen2-moe": ("qwen2_moe", {**EXPERTS, "shared_expert_intermediate_size": 48, "mlp_only_layers": [1]}),
    "qwen2-moe-window": (
        "qwen2_moe",
        {
            **EXPERTS, "shared_expert_intermediate_size": 48, "use_sliding_window": True, "sliding_window": 7,
            "max_window_layers": 2,
        },
    ),
    "qwen3-moe": ("qwen3_moe", {**EXPERTS, "head_dim": 32, "norm_topk_prob": True, "decoder_sparse_step": 2}),
    "qwen3-moe-window": ("qwen3_moe", {**EXPERTS, "head_dim": 16, "use_sliding_window": True, "sliding_window": 9}),
    "deepseek-v2": ("deepseek_v2", {**LATENT, "routed_scaling_factor": 1.5}),
    "deepseek-v2-groups": (
        "deepseek_v2",
        {
            **LATENT, "q_lora_rank": 40, "rope_parameters": MSCALE_ROPE, "topk_method": "group_limited_greedy",
            "n_group": 4, "topk_group": 2,
        },
    ),
    "deepseek-v3": (
        "deepseek_v3", {**LATENT, "q_lora_rank": 40, "rope_parameters": MSCALE_ROPE, "n_group": 4, "topk_group": 2}
    ),
    "deepseek-v3-no-groups": ("deepseek_v3", 
        {**LATENT, "n_group": 1, "topk_group": 1, "rope_interleave": False, "routed_scaling_factor": 1.0},
    ),
}  # fmt: skip


def build(variant: str, folder: Path, *, dtype: torch.dtype = torch.float32, **overrides: Any) -> Path:
    """Writes a random model and gives its folder. More arguments change its configuration."""
    kind, changes = VARIANTS[variant]
    torch.manual_seed(1234)
    config = CONFIG_MAPPING[kind](**{**BASE, **changes, **overrides})
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:  # norms and biases begin as ones and zeros, where a mix-up would not show
            torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name else 0.0, std=0.2)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            torch.nn.init.normal_(buffer, std=0.2)
    path = folder / variant
    model.save_pretrained(path)
    return path
