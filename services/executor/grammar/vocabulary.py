"""The bytes that each token stands for: byte-level BPE, sentencepiece with byte fallback, and plain text."""

import json
import re
from functools import reduce
from typing import Any

from shared.text_codec import TextCodec

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def spellings(codec: TextCodec) -> list[bytes]:
    """Bytes by token id. Special tokens have none, so that no grammar can be written with them."""
    tokenizer = codec.tokenizer
    added = tokenizer.get_added_tokens_decoder()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    parts = _flattened(json.loads(tokenizer.decoder.__getstate__())) if tokenizer.decoder is not None else []
    is_byte_level = any(part["type"] == "ByteLevel" for part in parts)
    has_fallback = any(part["type"] == "ByteFallback" for part in parts)
    blanks = [
        (p["pattern"]["String"], p["content"]) for p in parts if p["type"] == "Replace" and "String" in p["pattern"]
    ]
    blanks += [(part["replacement"], " ") for part in parts if part["type"] == "Metaspace"]
    alphabet = _alphabet()
    out = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, token_id in vocabulary.items():
        if token_id in added:
            out[token_id] = b"" if added[token_id].special else token.encode()
        elif is_byte_level:
            known = all(char in alphabet for char in token)
            out[token_id] = bytes(alphabet[char] for char in token) if known else token.encode()
        elif has_fallback and (byte := _BYTE_TOKEN.fullmatch(token)):
            out[token_id] = bytes((int(byte[1], 16),))
        else:
            out[token_id] = reduce(lambda text, blank: text.replace(*blank), blanks, token).encode()
    return out


def _alphabet() -> dict[str, int]:
    """GPT-2's: printable bytes stand for themselves, the others are numbered from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(256)) - set(printable))
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def _flattened(part: dict[str, Any]) -> list[dict[str, Any]]:
    if part.get("type") == "Sequence":
        return [inner for outer in part["decoders"] for inner in _flattened(outer)]
    return [part]
