"""The tokenizer of the demonstration model gives every text back."""

import json
import unicodedata
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from xylem.demo_model import MODEL_PATH

ODD = (
    "héllo wörld 你好 🙂 \n\t x",
    "  leading and trailing  ",
    "\r\n\r\n\x00\x7f",
    "👩‍👩‍👧‍👦 e\u0301 \u200b\ufeff",
    "1234567890 3.14 -7",
    "العربية हिन्दी ไทย",
    "<tools> <|not special|> </think>",
    "",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL_PATH)


@pytest.mark.parametrize("text", ODD)
def test_any_text_comes_back(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_composed_and_decomposed_letters_stay_apart(tokenizer: Any) -> None:
    composed, decomposed = "é", unicodedata.normalize("NFD", "é")
    assert tokenizer.encode(composed) != tokenizer.encode(decomposed)


def test_digits_are_tokens_of_their_own(tokenizer: Any) -> None:
    assert [token for token in tokenizer.tokenize("in 2048") if token.strip("Ġ")] == ["in", "2", "0", "4", "8"]


def test_special_tokens(tokenizer: Any) -> None:
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.bos_token is None
    # A reader of the stream has to see where a call begins: the markers are no special tokens.
    ids = tokenizer.encode("<|im_start|><tool_call>x</tool_call><|im_end|>")
    assert len(ids) == 5
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<tool_call>x</tool_call>"


def test_the_tokenizers_library_alone_agrees(tokenizer: Any) -> None:
    bare = Tokenizer.from_file(str(MODEL_PATH / "tokenizer.json"))
    for text in ODD:
        assert bare.encode(text).ids == tokenizer.encode(text)


def test_model_and_tokenizer_agree_on_ids(tokenizer: Any) -> None:
    config = json.loads((MODEL_PATH / "config.json").read_text())
    generation = json.loads((MODEL_PATH / "generation_config.json").read_text())
    assert config["vocab_size"] == len(tokenizer)
    assert config["eos_token_id"] == generation["eos_token_id"] == tokenizer.eos_token_id
    assert config["pad_token_id"] == tokenizer.pad_token_id
    assert "temperature" not in generation
