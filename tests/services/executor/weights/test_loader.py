"""Weights from disk: sharded or not, and every fault named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny_models import build
from xylem.kernels import registry
from xylem.services.executor.kv_cache.page_budget import page_bytes
from xylem.services.executor.kv_cache.pool import KvPool
from xylem.services.executor.model_config.architectures import ARCHITECTURES, decoder_config
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.models.rope import tables
from xylem.services.executor.weights.loader import load_weights
from xylem.shared.model_info.model_card import ModelCard, ModelError

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build("llama", tmp_path)


def load(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    config = decoder_config(ModelCard.load(folder))
    return load_weights(folder, config, dtype=torch.float32, device=CPU, **options)


def rewrite(folder: Path, **changes: torch.Tensor | None) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name, tensor in changes.items():
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    save_file(tensors, file)


def shard(folder: Path) -> list[str]:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {f"model-{i + 1:05d}-of-00003.safetensors": names[i::3] for i in range(3)}
    for file, members in shards.items():
        save_file({name: tensors[name] for name in members}, folder / file)
    index = {"weight_map": {name: file for file, members in shards.items() for name in members}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sorted(shards)


def test_shards_give_what_one_file_gives_and_progress_reaches_the_end(folder: Path) -> None:
    whole = load(folder)
    shard(folder)
    told: list[tuple[int, int]] = []
    sharded = load(folder, progress=lambda done, total: told.append((done, total)))
    assert whole.keys() == sharded.keys()
    assert all(torch.equal(whole[name], sharded[name]) for name in whole)
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0


def test_a_missing_shard_is_named(folder: Path) -> None:
    gone = shard(folder)[1]
    (folder / gone).unlink()
    with pytest.raises(ModelError, match=f"{gone} is missing"):
        load(folder)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", ""])
def test_a_shard_outside_the_folder_is_not_read(folder: Path, name: str) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": name}}))
    with pytest.raises(ModelError, match=r"lies in the folder itself|is missing"):
        load(folder)


def test_a_missing_file_with_pickles_beside_it(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only safetensors are read"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_named(folder: Path, share: float) -> None:
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"model\.safetensors can't be read, it may be truncated"):
        load(folder)


NORM = "model.layers.1.input_layernorm.weight"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({NORM: None}, f"the tensor {re.escape(NORM)} is in none"),
        ({NORM: torch.zeros(65)}, r"shape \(65,\), config.json says \(64,\)"),
        ({NORM: torch.zeros(64, dtype=torch.int8)}, "type torch.int8"),
        ({NORM: torch.zeros(64).to(torch.float8_e4m3fn)}, "type torch.float8_e4m3fn"),
        ({"model.layers.1.surprise": torch.zeros(3)}, "no place for the tensor model.layers.1.surprise"),
    ],
)
def test_faulty_tensors_are_named(folder: Path, changes: dict[str, torch.Tensor | None], fault: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ModelError, match=fault):
        load(folder)


@pytest.mark.parametrize("variant", ["mixtral", "qwen2-moe", "deepseek-v3"])
def test_experts_in_one_tensor_are_those_that_come_one_by_one(tmp_path: Path, variant: str) -> None:
    folder = build(variant, tmp_path)
    one_by_one = load(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.save_pretrained(tmp_path / "other", save_original_format=False)
    in_one = load(tmp_path / "other")
    assert load_file(tmp_path / "other" / "model.safetensors").keys() != load_file(folder / "model.safetensors").keys()
    assert one_by_one.keys() == in_one.keys()
    assert all(torch.equal(one_by_one[name], in_one[name]) for name in in_one)


def test_a_missing_expert_is_named(tmp_path: Path) -> None:
    folder = build("qwen3-moe", tmp_path)
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    rewrite(folder, **{name: None})
    with pytest.raises(ModelError, match=f"the tensor {re.escape(name)} is in none"):
        load(folder)


def test_modules_that_predict_further_tokens_are_left_out(tmp_path: Path) -> None:
    folder = build("deepseek-v3", tmp_path)
    rewrite(folder, **{"model.layers.3.eh_proj.weight": torch.zeros(3)})
    load(folder)
    rewrite(folder, **{"model.layers.4.eh_proj.weight": torch.zeros(3)})
    with pytest.raises(ModelError, match=r"no place for the tensor model\.layers\.4"):
        load(folder)


def test_what_chooses_experts_stays_float32(tmp_path: Path) -> None:
    folder = build("deepseek-v3", tmp_path)
    config = decoder_config(ModelCard.load(folder))
    loaded = load_weights(folder, config, dtype=torch.bfloat16, device=CPU)
    wide = {name for name, parameter in loaded.items() if parameter.dtype is torch.float32}
    assert wide == {"1.router", "1.router_bias", "2.router", "2.router_bias"}
    exact = load_file(folder / "model.safetensors")["model.layers.1.mlp.gate.e_score_correction_bias"]
    assert torch.equal(loaded["1.router_bias"], exact)


def test_a_tied_head_in_the_file_is_ignored(tmp_path: Path) -> None:
    folder = build("llama-tied-biased", tmp_path)
    rewrite(folder, **{"lm_head.weight": torch.zeros(320, 64)})
    assert "head" not in load(folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM is not supported; there are: LlamaForCausalLM"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"quantization_config": {"quant_method": "awq"}}, "weights quantized by 'awq' are not supported.*fp8"),
        ({"quantization_config": {"quant_method": "fp8"}}, "weight_block_size None: two positive integers"),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 0]}}, r"\[128, 0\]: two positive"),
        ({"rope_parameters": {"rope_type": "spiral"}}, "rope type 'spiral'.*there are: default"),
        ({"rope_parameters": {"rope_type": "linear"}}, "linear needs the parameter factor"),
        ({"hidden_size": None}, "config.json: hidden_size must be a positive integer"),
    ],
)
def test_what_a_configuration_asks_for_in_vain_is_named(folder: Path, change: dict[str, Any], fault: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=fault):
        CpuModelRunner(ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, kv_bytes=1 << 20)


def test_both_spellings_of_rope_mean_the_same(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_parameters"] = {"rope_type": "linear", "rope_theta": 5e5, "factor": 2.0}
    path.write_text(json.dumps(config))
    new = decoder_config(ModelCard.load(folder))
    del config["rope_parameters"]
    path.write_text(json.dumps({**config, "rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}}))
    assert decoder_config(ModelCard.load(folder)) == new


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 3e4}


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_scaling": YARN, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
        {"rope_scaling": {"type": "yarn", "factor": 4.0}, "rope_theta": 2e5, "rope_parameters": {"rope_theta": 5e5}},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "rope_parameters": YARN},
        {"rope_scaling": None, "rope_parameters": YARN},
    ],
)
def test_where_a_file_has_both_spellings_the_older_one_counts(folder: Path, rope: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **rope}))
    theirs = AutoConfig.from_pretrained(folder).rope_parameters
    ours = decoder_config(ModelCard.load(folder)).rope
    assert (ours.kind, ours.theta) == (theirs["rope_type"], theirs["rope_theta"])
    assert ours.parameters.get("factor") == theirs.get("factor")
    model = AutoModelForCausalLM.from_pretrained(folder)
    cos, _ = tables(ours)
    theirs_cos, _ = model.model.rotary_emb(torch.zeros(1, 1), torch.arange(48)[None])
    assert torch.allclose(cos[:48], theirs_cos[0, :, : ours.dim // 2], atol=1e-6)


def test_yarn_gives_positions_beyond_the_trained_ones(folder: Path) -> None:
    path = folder / "config.json"
    own = json.loads(path.read_text())["max_position_embeddings"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "rope_scaling": {"type": "yarn", "factor": 2.0}}))
    near, far = (tables(decoder_config(ModelCard.load(folder, context_length=n)).rope)[0] for n in (0, 2 * own))
    assert (len(near), len(far)) == (own, 2 * own)
    assert torch.equal(far[:own], near)


def test_the_pool_takes_what_kv_bytes_holds(folder: Path) -> None:
    card = ModelCard.load(folder)
    each = 2 * 3 * 16 * 2 * 16 * 4  # keys and values, layers, page, kv heads, head size, float32
    runner = CpuModelRunner(card, device="cpu", dtype=torch.float32, page_size=16, kv_bytes=10 * each + 5)
    assert runner.num_pages == 10
    runner.warm_up()
    with pytest.raises(ModelError, match=f"one takes {each} bytes"):
        CpuModelRunner(card, device="cpu", dtype=torch.float32, page_size=16, kv_bytes=each - 1)


def test_of_latent_attention_the_pool_keeps_one_latent_for_all_heads(tmp_path: Path) -> None:
    config = decoder_config(ModelCard.load(build("deepseek-v2", tmp_path)))
    dtype = torch.bfloat16
    assert page_bytes(config, page_size=16, dtype=dtype) == 3 * 16 * (24 + 8) * 2  # layers, page, latent and key, bytes
    pool = KvPool(config, registry.load("auto", CPU), num_pages=5, page_size=16, dtype=dtype, device=CPU)
    kept = {tensor.data_ptr(): tensor.nbytes for tensor in (*pool.keys, *pool.values)}
    assert sum(kept.values()) == 5 * page_bytes(config, page_size=16, dtype=dtype)


def test_the_smallest_pool_warms_up(folder: Path) -> None:
    runner = CpuModelRunner(
        ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=1, num_pages=1, kv_bytes=0
    )
    runner.warm_up()


def test_an_unknown_backend_of_kernels_is_a_model_error(folder: Path) -> None:
    with pytest.raises(ModelError, match="no kernel backend"):
        CpuModelRunner(
            ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, kv_bytes=1 << 20, kernels="x"
        )


def test_a_quantization_that_the_backend_lacks_is_a_model_error(folder: Path) -> None:
    with pytest.raises(ModelError, match="cpu has no quantization 'int8'"):
        CpuModelRunner(
            ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, kv_bytes=1 << 20, kernels="cpu",
            quantization="int8",
        )  # fmt: skip


def test_the_table_lists_what_the_readme_promises() -> None:
    assert set(ARCHITECTURES) >= {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
    assert set(ARCHITECTURES) >= {"SmolLM3ForCausalLM", "GraniteForCausalLM", "Phi3ForCausalLM"}
    assert set(ARCHITECTURES) >= {"MixtralForCausalLM", "Qwen2MoeForCausalLM", "Qwen3MoeForCausalLM"}
    assert set(ARCHITECTURES) >= {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"}
