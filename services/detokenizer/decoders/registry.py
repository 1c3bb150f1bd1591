"""Which incremental decoder suits a tokenizer."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol

from xylem.services.detokenizer.decoders import byte_fallback, byte_level, windowed
from xylem.shared.model_info.token_bytes import decoder_parts
from xylem.shared.model_info.tokenizer_codec import TextCodec


class TextDecoder(Protocol):
    """The text of one sequence."""

    def push(self, token_id: int) -> str:
        """Takes one token; returns the text that is certain now: never half a character."""

    def flush(self) -> str:
        """What is still held back, when no more tokens come: half characters become U+FFFD."""


DecoderFactory = Callable[[Iterable[int]], TextDecoder]
"""A decoder for the tokens that follow these context ids, whose own text is not given out."""


class DecoderKind(Protocol):
    """A module of this package: both take the parts of tokenizer.json's decoder; None when it is of another kind."""

    def factory(
        self, codec: TextCodec, parts: list[dict[str, Any]], hidden: frozenset[str]
    ) -> Callable[[Iterable[int]], TextDecoder] | None: ...

    def spelling(self, codec: TextCodec, parts: list[dict[str, Any]]) -> Callable[[int], bytes] | None: ...


KINDS: tuple[DecoderKind, ...] = (byte_level, byte_fallback, windowed)


def decoder_factory(codec: TextCodec, *, keep_special: bool = False) -> DecoderFactory:
    """The fastest exact decoder for this tokenizer. keep_special: special tokens have text, too."""
    parts = decoder_parts(codec)
    hidden = frozenset[str]() if keep_special else codec.special_texts()
    return next(made for kind in KINDS if (made := kind.factory(codec, parts, hidden)) is not None)


def spelling(codec: TextCodec) -> Callable[[int], bytes]:
    """The bytes that a token stands for, which need not be whole characters."""
    parts = decoder_parts(codec)
    return cache(next(made for kind in KINDS if (made := kind.spelling(codec, parts)) is not None))
