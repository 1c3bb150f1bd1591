"""Checkpoints in FP8 are the models that their rounded weights make."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.services.executor.model_runs import engine_of, run, runner_of
from tests.services.executor.weights.test_loader import load, rewrite, shard
from tests.tiny_models import build
from xylem.shared.model_info.model_card import ModelError

pytestmark = pytest.mark.usefixtures("one_thread")

LINEAR = re.compile(r"_proj(_with_mqa)?\.weight$")  # embeddings, heads, norms and routers stay as they are
LARGEST = 448.0  # of the type
PROMPT = list(range(3, 43))
QUERY = "model.layers.0.self_attn.q_proj.weight"


def put_in_fp8(folder: Path, block: tuple[int, int]) -> Path:
    """Rounds the linear layers of a model. Gives the folder of a copy that holds what they are now in float32."""
    wide_folder = shutil.copytree(folder, folder.with_name("wide"))
    wide = load_file(folder / "model.safetensors")
    stored = dict(wide)
    rows, columns = block
    for name, weight in wide.items():
        if not LINEAR.search(name):
            continue
        small = stored[name] = torch.zeros_like(weight, dtype=torch.float8_e4m3fn)
        scales = torch.zeros(-(-weight.shape[0] // rows), -(-weight.shape[1] // columns))
        stored[f"{name}_scale_inv"] = scales
        for i, j in torch.cartesian_prod(*map(torch.arange, scales.shape)).tolist():
            of_block = slice(i * rows, (i + 1) * rows), slice(j * columns, (j + 1) * columns)
            scales[i, j] = weight[of_block].abs().max() / LARGEST
            small[of_block] = (weight[of_block] / scales[i, j]).to(small.dtype)
            weight[of_block] = small[of_block].float() * scales[i, j]
    save_file(wide, wide_folder / "model.safetensors")
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": list(block)}
    (folder / "config.json").write_text(json.dumps(config))
    return wide_folder


@pytest.mark.parametrize("variant", ["llama", "deepseek-v3", "qwen3-moe"])
def test_the_tokens_are_those_of_transformers(variant: str, tmp_path: Path) -> None:
    folder = build(variant, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(put_in_fp8(folder, (8, 4)), dtype=torch.float32)
    ids = torch.tensor([PROMPT])
    output = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, eos_token_id=None
    )
    [ran] = run(engine_of(runner_of("cpu", folder, page_size=16, num_pages=8)), {"prompt": PROMPT})
    assert ran.token_ids == output[0, len(PROMPT) :].tolist()


@pytest.mark.parametrize("block", [(128, 128), (24, 20), (1, 64)])
def test_blocks_need_not_divide_a_weight(tmp_path: Path, block: tuple[int, int]) -> None:
    folder = build("llama", tmp_path)
    given, expected = load(put_in_fp8(folder, block)), load(folder)
    assert given.keys() == expected.keys()
    assert all(torch.equal(given[name], expected[name]) for name in given)


def test_scales_may_lie_in_another_shard(tmp_path: Path) -> None:
    folder = build("llama", tmp_path)
    expected = load(put_in_fp8(folder, (16, 16)))
    shard(folder)
    files = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert files[QUERY] != files[f"{QUERY}_scale_inv"]
    given = load(folder)
    assert all(torch.equal(given[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("scales", "fault"),
    [
        (None, f"{QUERY} is in FP8, and there is no {QUERY}_scale_inv"),
        (torch.ones(3, 4), r"scales of the shape (3, 4); with its blocks they are (4, 4)"),
    ],
)
def test_faulty_scales_are_named(tmp_path: Path, scales: torch.Tensor | None, fault: str) -> None:
    folder = build("llama", tmp_path)
    put_in_fp8(folder, (16, 16))
    rewrite(folder, **{f"{QUERY}_scale_inv": scales})
    with pytest.raises(ModelError, match=re.escape(fault)):
        load(folder)
