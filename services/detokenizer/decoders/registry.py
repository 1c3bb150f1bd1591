"""The kinds of incremental decoders, and the choice of one for a tokenizer."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol

from xylem.services.detokenizer.decoders import byte_fallback, byte_level, windowed
from xylem.shared.model_info.token_bytes import decoder_parts
from xylem.shared.model_info.tokenizer_codec import TextCodec


class TextDecoder(Protocol):
    """Decodes the text of one sequence."""

    def decode_token(self, token_id: int) -> str:
        """Takes the next token and returns the text that is certain now: never half a character."""

    def flush_text(self) -> str:
        """Returns the text still held back when no more tokens come: half characters become U+FFFD."""


DecoderFactory = Callable[[Iterable[int]], TextDecoder]
"""Makes a decoder for the tokens that follow the given context ids; the text of the context is not returned."""


class DecoderKind(Protocol):
    """A module of this package. Its functions take the parts of tokenizer.json's decoder; None says another kind."""

    def factory(
        self, codec: TextCodec, parts: list[dict[str, Any]], hidden: frozenset[str]
    ) -> Callable[[Iterable[int]], TextDecoder] | None: ...

    def spelling(self, codec: TextCodec, parts: list[dict[str, Any]]) -> Callable[[int], bytes] | None: ...


KINDS: tuple[DecoderKind, ...] = (byte_level, byte_fallback, windowed)


def decoder_factory(codec: TextCodec, *, keep_special: bool = False) -> DecoderFactory:
    """Returns the factory of the fastest exact decoder for `codec`. keep_special: whether special tokens have text."""
    parts = decoder_parts(codec)
    hidden = frozenset[str]() if keep_special else codec.special_texts()
    return next(made for kind in KINDS if (made := kind.factory(codec, parts, hidden)) is not None)


def spelling(codec: TextCodec) -> Callable[[int], bytes]:
    """Returns a function from a token id to its bytes, which need not be whole characters."""
    parts = decoder_parts(codec)
    return cache(next(made for kind in KINDS if (made := kind.spelling(codec, parts)) is not None))
