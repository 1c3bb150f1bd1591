import json
from pathlib import Path
from typing import Any

import pytest

from xylem.shared.model_info.model_card import ModelCard, ModelError, locate

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 100,
    "max_position_embeddings": 64,
    "eos_token_id": 2,
}


def folder(path: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / f"{name}.json").write_text(text)
    return path


def test_a_card_of_a_good_folder(tmp_path: Path) -> None:
    card = ModelCard.load(folder(tmp_path, config=CONFIG))
    assert (card.architecture, card.vocab_size, card.context_length, card.eos_token_ids) == (
        "LlamaForCausalLM", 100, 64, (2,),
    )  # fmt: skip


def test_generation_config_says_what_ends_a_sequence(tmp_path: Path) -> None:
    card = ModelCard.load(folder(tmp_path, config=CONFIG, generation_config={"eos_token_id": [3, 4]}))
    assert card.eos_token_ids == (3, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 16}},
        {"rope_scaling": {"type": "su"}, "original_max_position_embeddings": 16},
    ],
)
def test_longrope_serves_its_original_context(tmp_path: Path, change: dict[str, Any]) -> None:
    assert ModelCard.load(folder(tmp_path, config={**CONFIG, **change})).context_length == 16


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({}, "config.json is missing"),
        ({"config": '{"architectures": ["Ll'}, "can't be read"),
        ({"config": "[]"}, "no JSON object"),
        ({"config": {**CONFIG, "architectures": []}}, "no architecture"),
        ({"config": {**CONFIG, "vocab_size": "many"}}, "vocab_size"),
        ({"config": {k: v for k, v in CONFIG.items() if k != "max_position_embeddings"}}, "max_position_embeddings"),
        ({"config": {**CONFIG, "eos_token_id": "end"}}, "eos_token_id"),
    ],
)
def test_faults_are_named(tmp_path: Path, files: dict[str, Any], fault: str) -> None:
    with pytest.raises(ModelError, match=fault):
        ModelCard.load(folder(tmp_path, **files))


def test_missing_folders_and_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        locate(str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match="is a file"):
        locate(str(folder(tmp_path, config=CONFIG) / "config.json"))
    with pytest.raises(ModelError, match="no model folder"):
        ModelCard.load(tmp_path / "nothing")


def test_a_hub_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="no folder here"):
        locate("nobody/nothing-such")


def test_the_demonstration_model_is_there(demo_model: Path) -> None:
    assert ModelCard.load(demo_model).context_length >= 2048
