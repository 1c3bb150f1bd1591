"""What an executor says when its device can't be had."""

import pytest
import torch

from xylem.demo_model import MODEL_PATH
from xylem.services.executor.model_runner.factory import make_model_runner
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.runtime.settings import ExecutorSettings


def load(device: str) -> None:
    make_model_runner(ModelCard.load(MODEL_PATH), ExecutorSettings(device=device), lambda show: show)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("version", "reason"),
    [(None, "is built without CUDA"), ("12.8", "finds no usable GPU")],
    ids=["CPU build", "no GPU"],
)
def test_no_gpu(monkeypatch: pytest.MonkeyPatch, version: str | None, reason: str) -> None:
    monkeypatch.setattr(torch.version, "cuda", version)
    with pytest.raises(ModelError, match=rf"device = cuda:1: torch .* {reason}; --device cpu needs none"):
        load("cuda:1")


def test_no_device() -> None:
    with pytest.raises(ModelError, match="device = gpu: "):
        load("gpu")
