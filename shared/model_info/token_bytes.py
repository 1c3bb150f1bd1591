"""This module knows how tokenizer.json writes bytes as tokens: what decoders and grammars both have to read."""

import json
import re
from typing import Any

from xylem.shared.model_info.tokenizer_codec import TextCodec

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def decoder_parts(codec: TextCodec) -> list[dict[str, Any]]:
    """The decoder as tokenizer.json describes it, sequences taken apart; empty when there is none."""
    decoder = codec.tokenizer.decoder
    return [] if decoder is None else _flattened(json.loads(decoder.__getstate__()))


def _flattened(part: dict[str, Any]) -> list[dict[str, Any]]:
    if part.get("type") == "Sequence":
        return [inner for outer in part["decoders"] for inner in _flattened(outer)]
    return [part]


def byte_alphabet() -> dict[str, int]:
    """GPT-2's, character to byte: printable ones stand for themselves, the rest are numbered from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def byte_of(token: str) -> int | None:
    """The byte that a token such as `<0xE4>` stands for; None for a token of text."""
    found = _BYTE_TOKEN.fullmatch(token)
    return int(found[1], 16) if found else None
