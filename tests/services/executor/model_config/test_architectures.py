"""config.json of every family, read as transformers' own configuration classes read it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from xylem.services.executor.model_config.architectures import ARCHITECTURES, decoder_config
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.models.rope import tables
from xylem.shared.model_info.model_card import ModelCard, ModelError

KINDS = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "SmolLM3ForCausalLM": "smollm3",
    "GraniteForCausalLM": "granite",
    "Phi3ForCausalLM": "phi3",
    "Gemma2ForCausalLM": "gemma2",
    "MixtralForCausalLM": "mixtral",
    "Qwen2MoeForCausalLM": "qwen2_moe",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
}
# Without these no model folder is complete.
NEEDED = {
    "vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "num_hidden_layers",
    "num_attention_heads",
}  # fmt: skip
# What transformers has no default for, although no model does without.
GIVEN = {"DeepseekV2ForCausalLM": {"num_experts_per_tok": 6}}
WINDOWED: dict[str, Any] = {"use_sliding_window": True, "sliding_window": 64}
LONG = {"short_factor": [1.0] * 48, "long_factor": [2.0] * 48}


def read(architecture: str, config: dict[str, Any]) -> DecoderConfig:
    return decoder_config(ModelCard(Path("model"), architecture, config, 1, 1, (), None))


def whole(architecture: str, **changes: Any) -> dict[str, Any]:
    """A file that leaves nothing out."""
    config: dict[str, Any] = CONFIG_MAPPING[KINDS[architecture]](**GIVEN.get(architecture, {}), **changes).to_dict()
    return config


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_a_file_leaves_out_is_the_default_of_transformers(architecture: str) -> None:
    full = whole(architecture)
    expected = read(architecture, full)
    needed = NEEDED | GIVEN.get(architecture, {}).keys()
    for name in full.keys() - needed:
        assert read(architecture, {key: full[key] for key in full if key != name}) == expected, name
    assert read(architecture, {name: full[name] for name in needed}) == expected
    # Windows by use_sliding_window, with and without layer_types.
    full = whole(architecture, **WINDOWED)
    assert read(architecture, {key: full[key] for key in full if key != "layer_types"}) == read(architecture, full)


def test_windows_are_where_transformers_has_them() -> None:
    assert read("Qwen2ForCausalLM", whole("Qwen2ForCausalLM", **WINDOWED)).windows == (None,) * 28 + (64,) * 4
    smollm3 = read("SmolLM3ForCausalLM", whole("SmolLM3ForCausalLM", **WINDOWED))
    assert smollm3.windows == (None, None, None, 64) * 9
    assert smollm3.rotated == (True, True, True, False) * 9


@pytest.mark.parametrize("name", ["su", "yarn", "longrope"])
def test_all_names_of_long_rope_in_phi3_files(name: str) -> None:
    config = {key: whole("Phi3ForCausalLM")[key] for key in NEEDED}
    decoder = read("Phi3ForCausalLM", {**config, "rope_scaling": {"type": name, **LONG}})
    assert decoder.rope.kind == "longrope"
    assert decoder.rope.parameters["original_max_position_embeddings"] == 4096


def test_long_rope_without_an_original_context_is_short_everywhere() -> None:
    config = {key: whole("LlamaForCausalLM")[key] for key in NEEDED}
    factors = {"short_factor": [1.0] * 64, "long_factor": [2.0] * 64}
    long = read("LlamaForCausalLM", {**config, "rope_parameters": {"rope_type": "longrope", **factors}})
    plain = read("LlamaForCausalLM", config)
    for ours, expected in zip(tables(long.rope), tables(plain.rope), strict=True):
        assert (ours == expected).all()
    # A factor that is given scales cos and sin, whatever the ratio of the contexts.
    scaled = replace(long.rope, parameters={**long.rope.parameters, "factor": 4.0})
    assert tables(scaled)[0][0, 0] > 1


@pytest.mark.parametrize(
    ("architecture", "change", "fault"),
    [
        ("LlamaForCausalLM", {"num_key_value_heads": 5}, "32 attention heads can't share 5"),
        ("Qwen3ForCausalLM", {**WINDOWED, "layer_types": ["full_attention"]}, "1 layers of 32"),
        ("SmolLM3ForCausalLM", {"no_rope_layers": [1, 0]}, "2 layers of 36"),
        ("LlamaForCausalLM", {"rope_parameters": {"full_attention": {}}}, r"by kind of layer \(full_attention\)"),
        ("MixtralForCausalLM", {"num_experts_per_tok": 9}, "can't go through 9 of 8 experts"),
        ("DeepseekV3ForCausalLM", {"n_group": 7}, "256 experts can't be divided into 7 groups"),
        ("DeepseekV3ForCausalLM", {"topk_group": 9}, "9 of 8 groups of 32 experts can't be chosen"),
        ("DeepseekV3ForCausalLM", {"n_group": 256}, "4 of 256 groups of 1 experts can't be chosen"),
        ("DeepseekV3ForCausalLM", {"scoring_func": "softmax"}, "scoring_func 'softmax'.* there are: sigmoid"),
        ("DeepseekV3ForCausalLM", {"attention_bias": True}, "attention_bias is not supported"),
        ("DeepseekV2ForCausalLM", {"topk_method": "noaux_tc"}, "'noaux_tc'.* there are: greedy, group_limited_greedy"),
        ("DeepseekV2ForCausalLM", {"norm_topk_prob": True}, "norm_topk_prob is not supported"),
    ],
)
def test_contradictions_are_named(architecture: str, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(ModelError, match=fault):
        read(architecture, {**whole(architecture), **change})


def test_layers_with_experts_are_where_transformers_has_them() -> None:
    def layers(architecture: str, **changes: Any) -> list[int]:
        experts = read(architecture, whole(architecture, num_hidden_layers=6, **changes)).experts
        return [] if experts is None else [i for i in range(6) if experts.layers[i]]

    assert layers("MixtralForCausalLM") == [0, 1, 2, 3, 4, 5]
    assert layers("Qwen3MoeForCausalLM", decoder_sparse_step=2, mlp_only_layers=[3]) == [1, 5]
    assert layers("Qwen2MoeForCausalLM", mlp_only_layers=list(range(6))) == []
    assert layers("DeepseekV3ForCausalLM", first_k_dense_replace=4) == [4, 5]
    assert layers("DeepseekV2ForCausalLM", first_k_dense_replace=1, moe_layer_freq=2) == [2, 4]
    assert layers("DeepseekV3ForCausalLM", first_k_dense_replace=6) == []


def test_the_number_of_experts_has_two_names_in_qwen3_files() -> None:
    config = whole("Qwen3MoeForCausalLM")
    del config["num_local_experts"]
    for name in ("num_experts", "num_local_experts"):
        experts = read("Qwen3MoeForCausalLM", {**config, name: 16}).experts
        assert experts is not None
        assert experts.num_experts == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_hidden_layers", 2**31 - 1),
        ("num_attention_heads", 2**40),
        ("hidden_size", 2**62),
        ("intermediate_size", float("inf")),
        ("rms_norm_eps", float("nan")),
        ("rope_theta", float("inf")),
        ("rope_scaling", {"rope_type": "linear", "factor": float("inf")}),
        ("head_dim", {}),
        ("num_attention_heads", 0),
        ("sliding_window", "x" * 5000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_numbers_that_no_decoder_has(name: str, value: Any) -> None:
    full = whole("LlamaForCausalLM") | {"use_sliding_window": True}
    full = {key: each for key, each in full.items() if not key.startswith("rope_parameters")}
    if name == "sliding_window":
        full = whole("Qwen2ForCausalLM", **WINDOWED)
    architecture = "Qwen2ForCausalLM" if name == "sliding_window" else "LlamaForCausalLM"
    with pytest.raises(ModelError, match=r"config\.json") as error:
        read(architecture, full | {name: value})
    assert len(str(error.value)) < 1000
