"""Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM, Granite): every token is a string of bytes.

The alphabet is GPT-2's: each byte stands as one printable character, see `bytes_to_unicode` in
https://github.com/openai/gpt-2/blob/master/src/encoder.py.
"""

from codecs import utf_8_decode
from collections.abc import Callable, Iterable
from typing import Any

from xylem.shared.model_info.token_bytes import byte_alphabet
from xylem.shared.model_info.tokenizer_codec import TextCodec


class _BytePieces(dict[int, str | bytes]):
    """Maps a token id to its text if its bytes are whole characters, otherwise to them; filled as tokens are met."""

    def __init__(self, codec: TextCodec, hidden: frozenset[str]) -> None:
        super().__init__()
        self._token = codec.tokenizer.id_to_token
        self._hidden = hidden
        self._bytes = byte_alphabet()

    def __missing__(self, token_id: int) -> str | bytes:
        token = self._token(token_id)
        if token is None or token in self._hidden:
            return self.setdefault(token_id, "")
        try:
            piece = bytes([self._bytes[char] for char in token])
        except KeyError:  # an added token: it stands for itself
            piece = token.encode()
        try:
            return self.setdefault(token_id, piece.decode())
        except UnicodeDecodeError:
            return self.setdefault(token_id, piece)


class ByteLevelDecoder:
    """Joins bytes and returns whole characters; bytes that can't become one turn into U+FFFD."""

    __slots__ = ("_pending", "_pieces")

    def __init__(self, pieces: _BytePieces, context_ids: Iterable[int]) -> None:
        self._pieces = pieces
        self._pending = b""  # the beginning of one character, at most 3 bytes
        for token_id in context_ids:
            self.decode_token(token_id)

    def decode_token(self, token_id: int) -> str:
        piece = self._pieces[token_id]
        if not self._pending and piece.__class__ is str:
            return piece
        data = self._pending + (piece.encode() if isinstance(piece, str) else piece)
        text, used = utf_8_decode(data, "replace", False)
        self._pending = data[used:]
        return text

    def flush_text(self) -> str:
        data, self._pending = self._pending, b""
        return data.decode(errors="replace")


def factory(
    codec: TextCodec, parts: list[dict[str, Any]], hidden: frozenset[str]
) -> Callable[[Iterable[int]], ByteLevelDecoder] | None:
    """Serves tokenizers whose only decoder is ByteLevel; returns None for others."""
    if [part["type"] for part in parts] != ["ByteLevel"]:
        return None
    pieces = _BytePieces(codec, hidden)
    return lambda context_ids: ByteLevelDecoder(pieces, context_ids)


def spelling(codec: TextCodec, parts: list[dict[str, Any]]) -> Callable[[int], bytes] | None:
    """Returns a function to the bytes of a token, special ones included; None for tokenizers of another kind."""
    if [part["type"] for part in parts] != ["ByteLevel"]:
        return None
    pieces = _BytePieces(codec, frozenset())

    def spell(token_id: int) -> bytes:
        piece = pieces[token_id]
        return piece.encode() if isinstance(piece, str) else piece

    return spell
