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


def test_both_files_say_what_ends_a_sequence(tmp_path: Path) -> None:
    card = ModelCard.load(folder(tmp_path, config=CONFIG, generation_config={"eos_token_id": [3, 4]}))
    assert card.eos_token_ids == (3, 4, 2)
    card = ModelCard.load(folder(tmp_path, config=CONFIG, generation_config={"eos_token_id": [2, 3]}))
    assert card.eos_token_ids == (2, 3)


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
    ("change", "generation", "eos", "bos"),
    [
        ({"eos_token_id": 100}, {}, (), None),
        ({"eos_token_id": -1}, {}, (), None),
        ({"eos_token_id": [2, 151645, 99]}, {}, (2, 99), None),
        ({}, {"eos_token_id": [3, 100]}, (3, 2), None),
        ({"bos_token_id": 1}, {}, (2,), 1),
        ({"bos_token_id": 100}, {}, (2,), None),
        ({"bos_token_id": [1]}, {}, (2,), 1),
        ({"bos_token_id": 2**70}, {}, (2,), None),
    ],
)
def test_ids_that_no_token_has_are_left_out(
    tmp_path: Path, change: dict[str, Any], generation: dict[str, Any], eos: tuple[int, ...], bos: int | None
) -> None:
    card = ModelCard.load(folder(tmp_path, config={**CONFIG, **change}, generation_config=generation))
    assert (card.eos_token_ids, card.bos_token_id) == (eos, bos)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("change", "wanted", "served"),
    [
        ({}, 0, 64),
        ({}, 10, 10),
        ({}, 64, 64),
        ({"rope_scaling": YARN}, 0, 64),
        ({"rope_scaling": YARN}, 256, 256),
        ({"rope_parameters": YARN}, 200, 200),
        ({"rope_scaling": {"type": "yarn", "factor": 2}}, 128, 128),
        ({"rope_scaling": YARN, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, 256, 256),
    ],
)
def test_the_context_length_can_be_chosen(tmp_path: Path, change: dict[str, Any], wanted: int, served: int) -> None:
    path = folder(tmp_path, config={**CONFIG, **change})
    assert ModelCard.load(path, context_length=wanted).context_length == served


@pytest.mark.parametrize(
    ("change", "wanted", "most"),
    [
        ({}, 65, 64),
        ({"rope_scaling": YARN}, 257, 256),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 65, 64),
        ({"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 16}}, 17, 16),
        ({"rope_scaling": {**YARN, "factor": 1e300}}, 65, 64),
        ({"rope_scaling": {**YARN, "factor": "4"}}, 65, 64),
    ],
)
def test_a_context_that_the_model_has_no_positions_for(
    tmp_path: Path, change: dict[str, Any], wanted: int, most: int
) -> None:
    path = folder(tmp_path, config={**CONFIG, **change})
    with pytest.raises(ModelError, match=f"has {most} positions, a context_length of {wanted}"):
        ModelCard.load(path, context_length=wanted)


def test_overrides_replace_members_of_the_configuration(tmp_path: Path) -> None:
    path = folder(tmp_path, config=CONFIG)
    text = json.dumps({"rope_scaling": YARN, "max_position_embeddings": 100})
    card = ModelCard.load(path, context_length=256, overrides=text)
    assert (card.context_length, card.config["rope_scaling"]) == (256, YARN)
    assert json.loads((path / "config.json").read_text()) == CONFIG


@pytest.mark.parametrize(("text", "fault"), [("{", "read as JSON"), ("[]", "JSON object"), ("3", "JSON object")])
def test_faulty_overrides_are_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ModelError, match=f"model_overrides.*{fault}"):
        ModelCard.load(folder(tmp_path, config=CONFIG), overrides=text)


@pytest.mark.parametrize("name", ["config", "generation_config"])
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path, config=CONFIG, generation_config={"eos_token_id": 7, "temperature": 0.5})
    expected = ModelCard.load(path)
    file = path / f"{name}.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert ModelCard.load(path) == expected


@pytest.mark.parametrize(
    ("generation", "sampling"),
    [
        ({}, {}),
        ({"top_k": -1, "top_p": 0.9}, {"top_k": -1, "top_p": 0.9}),
        ({"top_k": 0}, {"top_k": 0}),
        ({"do_sample": True, "temperature": 0.6}, {"temperature": 0.6}),
        ({"do_sample": None, "temperature": 0.6}, {"temperature": 0.6}),
        ({"do_sample": False}, {"temperature": 0.0}),
        ({"do_sample": False, "temperature": 0.6, "top_k": 20}, {"temperature": 0.0}),
        ({"do_sample": False, "repetition_penalty": 1.1}, {"temperature": 0.0, "repetition_penalty": 1.1}),
    ],
)
def test_how_a_model_is_sampled_by_default(
    tmp_path: Path, generation: dict[str, Any], sampling: dict[str, float]
) -> None:
    assert ModelCard.load(folder(tmp_path, config=CONFIG, generation_config=generation)).sampling == sampling


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
        ({"config": {**CONFIG, "eos_token_id": True}}, "eos_token_id"),
        ({"config": {**CONFIG, "bos_token_id": "begin"}}, "bos_token_id"),
        ({"config": CONFIG, "generation_config": {"top_k": -2}}, "top_k must be a number from -1"),
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
