"""What is told of a model before anything starts."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny_models import build
from xylem.services.executor.model_check import check_files, check_model, weight_bytes
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.weights.loader import load_weights
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.runtime.settings import ExecutorSettings


@pytest.mark.parametrize("variant", ["llama", "deepseek-v3", "gemma2"])
@pytest.mark.parametrize(("name", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_weights_take_what_is_told(tmp_path: Path, variant: str, name: str, dtype: torch.dtype) -> None:
    card = ModelCard.load(build(variant, tmp_path))
    parameters = load_weights(card.path, decoder_config(card), dtype=dtype, device=torch.device("cpu"))
    told = weight_bytes(card, ExecutorSettings(dtype=name))
    assert told == pytest.approx(sum(each.nbytes for each in parameters.values()), rel=0.02)


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    card = ModelCard.load(build("llama", tmp_path))
    settings = ExecutorSettings(kv_bytes=1 << 30)
    needed = weight_bytes(card, settings) + (1 << 30)
    check_model(card, settings, free_bytes=needed)
    check_model(card, settings, free_bytes=None)
    with pytest.raises(ModelError, match=r"1\.0 GiB of KV.*1\.0 GiB of memory are free.*--dtype bfloat16 takes half"):
        check_model(card, settings, free_bytes=needed - 1)
    with pytest.raises(ModelError, match=r"each of 2 executors.*Start fewer"):
        check_model(card, settings, free_bytes=needed, num_executors=2)
    check_model(card, ExecutorSettings(device="cuda"), free_bytes=1)


def test_an_architecture_that_is_not_there(tmp_path: Path) -> None:
    card = ModelCard.load(build("llama", tmp_path), overrides='{"architectures": ["MambaForCausalLM"]}')
    with pytest.raises(ModelError, match="MambaForCausalLM is not supported"):
        check_model(card, ExecutorSettings(), free_bytes=None)


def test_files_that_are_missing(tmp_path: Path) -> None:
    folder = build("llama", tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing"):
        check_files(folder)
    (folder / "tokenizer.json").touch()
    check_files(folder)
    (folder / "model.safetensors").rename(folder / "model.gguf")
    with pytest.raises(ModelError, match=r"holds no weights.*only safetensors are read"):
        check_files(folder)


def test_the_check_does_not_import_torch() -> None:
    code = "import sys, xylem.services.executor.model_check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
