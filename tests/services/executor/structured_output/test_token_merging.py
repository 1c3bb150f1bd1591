"""Tokens that are given for a stretch are those of the tokenizer, whatever text follows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.normalizers import NFC

from xylem.demo_model import MODEL_PATH
from xylem.services.executor.structured_output.token_merging import TokenMerging
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.tokenizer_codec import TextCodec

CODEC = TextCodec.load(MODEL_PATH)
SPELLED = bytes_of_tokens(CODEC)
MERGING = TokenMerging(CODEC, SPELLED)

pieces = st.sampled_from(
    ['{"', '"name', '": "', "favourite_colour", " the", "  ", "\n", "1234", "é", "日本", "'s", "-", "x"]
)
texts = st.lists(pieces, max_size=5).map("".join)


@given(texts, texts, texts)
def test_whatever_follows(before: str, stretch: str, after: str) -> None:
    before_ids = CODEC.encode(before, add_special_tokens=False)
    found = MERGING.merge_forced(before_ids, stretch)
    if found:
        whole = CODEC.encode(before + stretch + after, add_special_tokens=False)
        latest = before_ids[-3:]
        assert any(whole[at : at + len(latest + found)] == latest + found for at in range(len(before_ids) + 1))
    assert stretch.encode().startswith(b"".join(SPELLED[i] for i in found))


def test_whole_words_are_certain_and_the_last_one_is_not() -> None:
    stretch = 'favourite colour of "the fox": '
    before_ids = CODEC.encode('{"', add_special_tokens=False)
    found = MERGING.merge_forced(before_ids, stretch)
    text = b"".join(SPELLED[i] for i in found).decode()
    assert stretch.startswith(text)
    assert text.endswith(('fox":', "fox"))
    assert len(found) >= 5
    assert MERGING.merge_forced(before_ids, "favourite") == []


def test_after_special_tokens_and_halves_of_characters() -> None:
    special = next(i for i, spelled in enumerate(SPELLED) if not spelled)
    expected = CODEC.encode("The fox and", add_special_tokens=False)[:2]
    assert MERGING.merge_forced([500, special], "The fox and") == expected
    assert MERGING.merge_forced([], "The fox and") == expected
    half = next(i for i, spelled in enumerate(SPELLED) if spelled == "é".encode()[1:])
    assert MERGING.merge_forced([half], "The fox and") == []


def made(folder: Path, *, normalised: bool = False, words: bool = True) -> TextCodec:
    tokenizer = Tokenizer(models.BPE())
    if words:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if normalised:
        tokenizer.normalizer = NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["the red fox and the other fox"] * 4, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return TextCodec.load(folder)


@pytest.mark.parametrize(("stretch", "certain"), [("the fox and", True), ("e\u0301 fox and", False)])
def test_text_that_its_tokenizer_would_change(tmp_path: Path, stretch: str, certain: bool) -> None:
    codec = made(tmp_path, normalised=True)
    assert bool(TokenMerging(codec, bytes_of_tokens(codec)).merge_forced([], stretch)) is certain


def test_tokenizers_that_merge_across_words(tmp_path: Path) -> None:
    codec = made(tmp_path, words=False)
    assert TokenMerging(codec, bytes_of_tokens(codec)).merge_forced([], "the fox and") == []
