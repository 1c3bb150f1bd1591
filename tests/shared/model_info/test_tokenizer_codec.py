"""Against transformers' own reading of the same folder."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import AutoTokenizer

from tests import tokenizer_kinds as kinds
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.model_info.tokenizer_codec import TextCodec

TEXTS = [*kinds.CORPUS, "", "<|user|>hi<|end|> there<extra> <mask>x", "a  b<s>"]


def test_reads_a_folder(tmp_path: Path) -> None:
    codec = TextCodec.load(
        kinds.write_model(tmp_path, kinds.byte_level(), eos_token="</s>", bos_token={"content": "<s>"})
    )
    assert codec.special_tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    ids = codec.encode("héllo", add_special_tokens=True)
    assert codec.decode(ids, skip_special_tokens=True) == "héllo"
    assert codec.special_texts() == frozenset(kinds.SPECIAL)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"bos_token": "<s>", "eos_token": "</s>"},
        {"bos_token": "<s>", "add_bos_token": True},  # with a tokenizer.json, its post-processor alone decides
        {"bos_token": "<s>", "add_bos_token": False},
        {"eos_token": "<new_end>", "additional_special_tokens": ["<extra>"]},
        {"added_tokens_decoder": {"400": {"content": "<extra>", "special": True}}, "mask_token": "<mask>"},
        {"added_tokens_decoder": {"2": {"content": "<|user|>", "special": False, "rstrip": True}}},
    ],
)
@pytest.mark.parametrize("kind", ["byte_level", "byte_fallback", "with_bos"])
def test_encodes_and_decodes_like_transformers(tmp_path: Path, kind: str, config: dict[str, Any]) -> None:
    tokenizer = kinds.byte_fallback(strip=True) if kind == "byte_fallback" else kinds.byte_level()
    if kind == "with_bos":
        tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    folder = kinds.write_model(tmp_path, tokenizer, tokenizer_class="PreTrainedTokenizerFast", **config)
    codec, theirs = TextCodec.load(folder), AutoTokenizer.from_pretrained(folder)
    assert codec.special_tokens == theirs.special_tokens_map
    for text in TEXTS:
        for special in (True, False):
            ids = theirs(text, add_special_tokens=special)["input_ids"]
            assert codec.encode(text, add_special_tokens=special) == ids
            assert codec.decode(ids, skip_special_tokens=special) == theirs.decode(ids, skip_special_tokens=special)


def test_older_files_name_special_tokens_too(tmp_path: Path) -> None:
    folder = kinds.write_model(tmp_path, kinds.byte_level(), tokenizer_class="PreTrainedTokenizerFast")
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": "<|end|>", "lstrip": False}}))
    (folder / "added_tokens.json").write_text(json.dumps({"<extra>": kinds.byte_level().get_vocab_size()}))
    codec, theirs = TextCodec.load(folder), AutoTokenizer.from_pretrained(folder)
    assert codec.special_tokens == theirs.special_tokens_map == {"eos_token": "<|end|>"}
    text = "a<extra>b<|end|>"
    assert codec.encode(text, add_special_tokens=False) == theirs(text, add_special_tokens=False)["input_ids"]


def test_truncation_and_padding_of_the_file_are_switched_off(tmp_path: Path) -> None:
    tokenizer = type(kinds.byte_level()).from_str(kinds.byte_level().to_str())
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    codec = TextCodec.load(kinds.write_model(tmp_path, tokenizer))
    assert (
        codec.decode(codec.encode("a longer text", add_special_tokens=False), skip_special_tokens=False)
        == "a longer text"
    )
    assert len(codec.encode("a", add_special_tokens=False)) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", None, "tokenizer.json is missing"),
        ("tokenizer.json", '{"version": "1.0", "trunc', "holds no usable tokenizer"),
        ("tokenizer.json", "{}", "holds no usable tokenizer"),
        ("tokenizer_config.json", '{"bos_token": ', "can't be read as JSON"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"1": {"content": 5}}}', "special token can't be used"),
    ],
)
def test_a_broken_folder_is_named(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    folder = kinds.write_model(tmp_path, kinds.byte_level())
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(ModelError, match=words) as caught:
        TextCodec.load(folder)
    assert str(folder) in str(caught.value)


def test_longest_token(tmp_path: Path) -> None:
    tokenizer = kinds.byte_level()
    assert TextCodec(tmp_path, tokenizer, {}, {}).longest_token_chars() == max(map(len, tokenizer.get_vocab()))


def test_encoding_leaves_other_threads_running(tmp_path: Path) -> None:
    codec = TextCodec(tmp_path, kinds.byte_level(), {}, {})
    encoding = threading.Thread(target=codec.encode, args=("word " * 200_000,), kwargs={"add_special_tokens": False})
    encoding.start()
    began_s = last_s = time.perf_counter()
    longest_s = 0.0
    while encoding.is_alive():
        now_s = time.perf_counter()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    assert longest_s < (last_s - began_s) / 2  # with the interpreter locked it would be nearly all of it
