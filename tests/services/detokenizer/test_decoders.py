"""Incremental text against `decode` of all ids at once."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import tokenizer_kinds as kinds
from xylem.services.detokenizer.decoders import DecoderFactory, decoder_factory
from xylem.services.detokenizer.decoders.byte_fallback import LONGEST_HELD_BYTES, ByteFallbackDecoder
from xylem.services.detokenizer.decoders.byte_level import ByteLevelDecoder
from xylem.services.detokenizer.decoders.windowed import WindowedDecoder
from xylem.shared.model_info.token_bytes import byte_alphabet
from xylem.shared.model_info.tokenizer_codec import TextCodec

TOKENIZERS: dict[str, tuple[Any, type[Any]]] = {
    "byte_level": (kinds.byte_level, ByteLevelDecoder),
    "byte_fallback": (lambda: kinds.byte_fallback(strip=False), ByteFallbackDecoder),
    "byte_fallback_strip": (lambda: kinds.byte_fallback(strip=True), ByteFallbackDecoder),
    "metaspace": (kinds.metaspace, WindowedDecoder),
    "word_piece": (kinds.word_piece, WindowedDecoder),
    "without_decoder": (kinds.without_decoder, WindowedDecoder),
}
TEXTS = [*kinds.CORPUS, "🙂🙂 日本語テキスト", "", " leading", "é", "a<|end|>b", "the <tool> é the"]


@cache
def codec_of(name: str) -> TextCodec:
    return TextCodec(folder=Path(), tokenizer=TOKENIZERS[name][0](), special_tokens={}, config={})


@cache
def factory_of(name: str) -> DecoderFactory:
    return decoder_factory(codec_of(name))


def incremental(name: str, context: list[int], ids: list[int]) -> list[str]:
    decoder = factory_of(name)(context)
    return [*(decoder.decode_token(token_id) for token_id in ids), decoder.flush_text()]


def at_once(name: str, ids: list[int]) -> str:
    return codec_of(name).decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_fast_decoder_is_chosen(name: str) -> None:
    assert isinstance(factory_of(name)([]), TOKENIZERS[name][1])


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_whole_and_without_half_characters(name: str, text: str) -> None:
    ids = codec_of(name).encode(text, add_special_tokens=False)
    pieces = incremental(name, [], ids)
    assert "".join(pieces) == at_once(name, ids)
    assert "\ufffd" not in "".join(pieces)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_ids_in_any_context_give_what_decode_gives(name: str, data: st.DataObject) -> None:
    codec = codec_of(name)
    ids_strategy = st.lists(st.integers(0, codec.tokenizer.get_vocab_size() + 2), max_size=24)
    context = codec.encode(data.draw(st.sampled_from(TEXTS)), add_special_tokens=False)
    # A token of plain text after the context keeps a run of byte tokens from crossing the border; that is tested below.
    context += codec.encode("the", add_special_tokens=False)
    ids = data.draw(ids_strategy)
    before = at_once(name, context)
    whole = at_once(name, context + ids)
    assert whole.startswith(before)
    assert "".join(incremental(name, context, ids)) == whole[len(before) :]
    assert "".join(incremental(name, [], ids)) == at_once(name, ids)


@settings(max_examples=150)
@given(
    data=st.lists(st.sampled_from([0x20, 0x41, 0x80, 0xBF, 0xC3, 0xA9, 0xE4, 0xBD, 0xA0, 0xF0, 0x9F, 0x99, 0x82, 0xFF]))
)
@pytest.mark.parametrize("name", ["byte_level", "byte_fallback", "byte_fallback_strip"])
def test_bytes_that_are_no_text_come_out_like_decode_shows_them(name: str, data: list[int]) -> None:
    data = data[: LONGEST_HELD_BYTES - 1]
    ids = bytes_as_ids(name, data)
    assert "".join(incremental(name, [], ids)) == at_once(name, ids)


def bytes_as_ids(name: str, data: list[int]) -> list[int]:
    tokenizer = codec_of(name).tokenizer
    if name == "byte_level":
        characters = {byte: character for character, byte in byte_alphabet().items()}
        return [tokenizer.token_to_id(characters[byte]) for byte in data]
    return [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in data]


def test_the_byte_alphabet_is_that_of_the_library() -> None:
    from tokenizers import pre_tokenizers

    assert sorted(byte_alphabet()) == sorted(pre_tokenizers.ByteLevel.alphabet())


def test_a_character_is_given_out_with_its_last_byte() -> None:
    assert incremental("byte_level", [], bytes_as_ids("byte_level", list("é🙂".encode()))) == [
        "",
        "é",
        "",
        "",
        "",
        "🙂",
        "",
    ]


def test_a_broken_character_is_given_out_when_it_is_certain_to_be_broken() -> None:
    assert incremental("byte_level", [], bytes_as_ids("byte_level", [0xF0, 0x9F, 0x41])) == ["", "", "\ufffdA", ""]
    ids = bytes_as_ids("byte_fallback", [0xF0, 0x9F, 0x41, 0x42])
    assert incremental("byte_fallback", [], ids) == ["", "", "\ufffd\ufffd\ufffd", "\ufffd", ""]


def test_half_a_character_comes_out_at_the_end() -> None:
    assert incremental("byte_level", [], bytes_as_ids("byte_level", [0xF0, 0x9F])) == ["", "", "\ufffd"]


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback"])
def test_a_character_that_the_prompt_began_belongs_to_the_output(name: str) -> None:
    ids = bytes_as_ids(name, list("🙂".encode()))
    assert "".join(incremental(name, ids[:2], ids[2:])) == "🙂"
    assert "".join(incremental(name, ids, bytes_as_ids(name, [0x41]))) == "A"


def test_a_long_run_of_byte_tokens_is_not_held_for_ever() -> None:
    text = "ᚠᛇᚻ" * 40
    pieces = incremental("byte_fallback", [], bytes_as_ids("byte_fallback", list(text.encode())))
    assert "".join(pieces) == text
    shown = 0
    for read, piece in enumerate(pieces, start=1):
        shown += len(piece.encode())
        assert read - shown <= LONGEST_HELD_BYTES
