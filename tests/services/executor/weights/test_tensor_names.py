"""Checkpoints whose tensors are called otherwise than config.json's architecture would have them."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fake_runner import FakeRunner
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from tests.tiny_models import build
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.engine.head_gate import head_gates
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.weights.loader import load_weights
from xylem.shared.model_info.model_card import ModelCard, ModelError

Rename = Callable[[str], str]


def load(folder: Path) -> dict[str, torch.Tensor]:
    config = decoder_config(ModelCard.load(folder))
    return load_weights(folder, config, dtype=torch.float32, device=torch.device("cpu"))


def rename(folder: Path, new_name: Rename, *, without: str = "") -> None:
    file = folder / "model.safetensors"
    save_file({new_name(name): tensor for name, tensor in load_file(file).items() if name != without}, file)


def bare(name: str) -> str:
    return name.removeprefix("model.")


RENAMES: dict[str, Rename] = {
    "without the prefix": bare,
    "half of them without it": lambda name: bare(name) if ".0." in name or "norm" in name else name,
    "the prefix before the head, too": lambda name: "model." + bare(name),
    "wrapped for several GPUs": lambda name: "module." + name,
    "compiled": lambda name: "_orig_mod." + name,
    "compiled, wrapped, and without the prefix": lambda name: "module._orig_mod." + bare(name),
}


@pytest.mark.parametrize("variant", ["llama", "qwen3", "deepseek-v3", "mixtral", "llama-tied-biased"])
@pytest.mark.parametrize("new_name", RENAMES.values(), ids=RENAMES)
def test_other_names_are_the_same_tensors(tmp_path: Path, variant: str, new_name: Rename) -> None:
    folder = build(variant, tmp_path)
    expected = load(folder)
    rename(folder, new_name)
    found = load(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_tensor_under_two_names_is_refused(tmp_path: Path) -> None:
    folder = build("llama", tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "norm.weight": tensors["model.norm.weight"] + 1}, file)
    with pytest.raises(ModelError, match=r"model\.norm\.weight.*one and the same"):
        load(folder)


def test_a_model_saved_without_its_head_gives_embeddings_only(tmp_path: Path) -> None:
    folder = build("qwen3", tmp_path, tie_word_embeddings=False)
    rename(folder, bare, without="lm_head.weight")
    assert "head" not in load(folder)
    runner = CpuModelRunner(ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, kv_bytes=1 << 20)
    assert not runner.has_head
    runner.warm_up()


def test_a_head_that_got_lost_is_still_a_missing_tensor(tmp_path: Path) -> None:
    folder = build("llama", tmp_path)
    rename(folder, str, without="lm_head.weight")
    with pytest.raises(ModelError, match=r"the tensor lm_head\.weight is in none"):
        load(folder)


def test_without_a_head_only_embeddings_are_admitted() -> None:
    engine = Engine(
        FakeRunner(has_head=False), max_running=4, token_budget=16, eos_token_ids=(), epoch=EXECUTOR_EPOCH,
        gates=[head_gates],
    )  # fmt: skip
    embedding = admit(2, [5, 6, 7], [3])
    params = msgspec.structs.replace(embedding.start.params, pooling="last")
    embedding = msgspec.structs.replace(embedding, start=msgspec.structs.replace(embedding.start, params=params))
    engine.apply(plan(0, admit(1, [5, 6, 7], [2]), embedding))
    refused = []
    while engine.has_work():
        refused += engine.step().refused
    assert [(start.request_id, failure.code) for start, failure in refused] == [("r1", "invalid_request")]
    assert "gives embeddings" in str(refused[0][1])


def test_an_index_may_name_tensors_without_the_prefix(tmp_path: Path) -> None:
    folder = build("llama", tmp_path)
    expected = load(folder)
    rename(folder, bare)
    shard = (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    weight_map = dict.fromkeys(load_file(shard), shard.name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert load(folder).keys() == expected.keys()
