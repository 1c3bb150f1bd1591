"""The bytes of tokens, for every kind of tokenizer: together they are the text."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests import tokenizer_kinds
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.tokenizer_codec import TextCodec

KINDS = {
    "byte level": tokenizer_kinds.byte_level(),
    "byte fallback": tokenizer_kinds.byte_fallback(strip=True),
    "byte fallback, not stripped": tokenizer_kinds.byte_fallback(strip=False),
    "metaspace": tokenizer_kinds.metaspace(),
}


@pytest.mark.parametrize("name", KINDS)
def test_bytes_of_tokens_are_those_of_the_text(name: str, tmp_path: Path) -> None:
    tokenizer: Tokenizer = KINDS[name]
    codec = TextCodec.load(tokenizer_kinds.write_model(tmp_path / "model", tokenizer))
    spelled = bytes_of_tokens(codec)
    texts = ["the quick fox", "a {b} 12"] if name == "metaspace" else tokenizer_kinds.CORPUS
    for text in texts:
        ids = codec.encode(text, add_special_tokens=False)
        if tokenizer.token_to_id("<unk>") in ids:
            continue
        assert b"".join(spelled[i] for i in ids).removeprefix(b" ") == text.encode()


@pytest.mark.parametrize("name", KINDS)
def test_special_tokens_have_no_bytes_and_added_ones_do(name: str, tmp_path: Path) -> None:
    codec = TextCodec.load(tokenizer_kinds.write_model(tmp_path / "model", KINDS[name]))
    spelled = bytes_of_tokens(codec)
    for token_id, token in codec.tokenizer.get_added_tokens_decoder().items():
        assert spelled[token_id] == (b"" if token.special else token.content.encode())
