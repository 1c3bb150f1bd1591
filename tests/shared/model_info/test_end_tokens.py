"""What ends an answer, by all files of a model folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer

from tests import chat_templates as templates
from tests import tokenizer_kinds as kinds
from xylem.shared.model_info.end_tokens import end_token_ids
from xylem.shared.model_info.model_card import DEMONSTRATION, ModelCard, locate

ENDS = ["<|im_start|>", "<|im_end|>", "<｜end▁of▁sentence｜>", "<|return|>", "<|start|>", "<|plain_end|>"]
LLAMA3 = "{% for m in messages %}<|{{ m.role }}|>\n\n{{ m.content | trim }}<|end|>{% endfor %}"
GLM = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}"
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
NO_END = "{% for m in messages %}{{ bos_token }}{{ m.role }}: {{ m.content }}\n{% endfor %}"
REFUSING = "{{ raise_exception('no') }}"


def ends(folder: Path, template: str | None, generation: Any = None, **config: Any) -> set[str]:
    tokenizer = Tokenizer.from_str(kinds.byte_level().to_str())
    tokenizer.add_tokens([AddedToken(text, special=text != "<|plain_end|>") for text in ENDS])
    if template is not None:
        config["chat_template"] = template
    kinds.write_model(folder, tokenizer, bos_token="<s>", **config)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": generation}))
    return {str(tokenizer.id_to_token(each)) for each in end_token_ids(ModelCard.load(folder))}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, set()),
        (templates.QWEN3, {"<|im_end|>"}),
        (templates.DEEPSEEK_V31, {"<｜end▁of▁sentence｜>"}),
        (templates.GPT_OSS, {"<|return|>"}),
        (templates.ALWAYS_THINKING, {"<|end|>"}),
        (LLAMA3, {"<|end|>"}),
        (GLM, {"<|user|>"}),
        (LLAMA3.replace("<|end|>", "<|plain_end|>"), {"<|plain_end|>"}),
        (LLAMA3.replace("<|end|>", "</turn>"), set()),
        (NO_END, set()),
        (REFUSING, set()),
        ("{% if %}", set()),
    ],
)
def test_the_template_says_what_ends_a_turn(tmp_path: Path, template: str | None, expected: set[str]) -> None:
    assert ends(tmp_path, template) == expected


def test_the_tokenizer_names_its_end(tmp_path: Path) -> None:
    assert ends(tmp_path / "a", None, eos_token="<|im_end|>") == {"<|im_end|>"}
    assert ends(tmp_path / "b", MISTRAL, eos_token="</s>") == {"</s>"}
    assert ends(tmp_path / "c", None, eos_token={"content": "<|end|>", "special": True}) == {"<|end|>"}
    assert ends(tmp_path / "d", templates.QWEN3, [1], eos_token="<|end|>") == {"</s>", "<|end|>", "<|im_end|>"}


def test_ends_beyond_the_models_vocabulary_are_none(tmp_path: Path) -> None:
    assert ends(tmp_path, templates.QWEN3, vocab_size=kinds.byte_level().get_vocab_size()) == set()


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    ends(tmp_path, None, [1])
    (tmp_path / "tokenizer.json").unlink()
    assert end_token_ids(ModelCard.load(tmp_path)) == (1,)


def test_the_demonstration_knows_its_ends() -> None:
    card = ModelCard.load(locate(DEMONSTRATION))
    assert end_token_ids(card) == card.eos_token_ids
