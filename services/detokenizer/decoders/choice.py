"""Which incremental decoder suits a tokenizer."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from services.detokenizer.decoders import byte_fallback, byte_level, windowed
from shared.text_codec import TextCodec


class TextDecoder(Protocol):
    """The text of one sequence."""

    def push(self, token_id: int) -> str:
        """Takes one token; returns the text that is certain now: never half a character."""

    def flush(self) -> str:
        """What is still held back, when no more tokens come: half characters become U+FFFD."""


DecoderFactory = Callable[[Iterable[int]], TextDecoder]
"""A decoder for the tokens that follow these context ids, whose own text is not given out."""

# Each takes the parts of tokenizer.json's decoder, and returns None when it can't reproduce that decoder exactly.
KINDS: tuple[Callable[[TextCodec, list[dict[str, Any]]], DecoderFactory | None], ...] = (
    byte_level.factory,
    byte_fallback.factory,
    windowed.factory,
)


def decoder_factory(codec: TextCodec) -> DecoderFactory:
    """The fastest exact decoder for this tokenizer."""
    parts = _parts(codec)
    return next(made for kind in KINDS if (made := kind(codec, parts)) is not None)


def _parts(codec: TextCodec) -> list[dict[str, Any]]:
    """The decoder as tokenizer.json describes it, sequences taken apart."""
    decoder = codec.tokenizer.decoder
    if decoder is None:
        return []
    return _flattened(json.loads(decoder.__getstate__()))


def _flattened(part: dict[str, Any]) -> list[dict[str, Any]]:
    if part.get("type") == "Sequence":
        return [inner for outer in part["decoders"] for inner in _flattened(outer)]
    return [part]
