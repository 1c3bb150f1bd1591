"""SentencePiece with byte fallback (Llama 2, Mistral, Phi-3, Gemma): text tokens, and `<0xE4>` for single bytes.

`decode` turns a run of byte tokens into text as a whole: valid UTF-8 becomes that text, otherwise every byte becomes
U+FFFD. So a run's text is certain when the run ends, or as soon as it can't be valid any more.
"""

from codecs import utf_8_decode
from collections.abc import Callable, Iterable
from typing import Any

from xylem.shared.model_info.token_bytes import byte_of
from xylem.shared.model_info.tokenizer_codec import TextCodec

REPLACEMENT = "\ufffd"

# A longer run (ten characters of a script that the vocabulary lacks) is decoded character by character, so that a
# reader never waits for its end. Only if it turns invalid after that does the text differ from decode's: characters
# already returned stay. A bound on memory and delay, not a policy.
LONGEST_HELD_BYTES = 32


class _FallbackPieces(dict[int, str | int | None]):
    """Maps a token id to its text, to its byte, or to None when it is not rendered; filled as tokens are met."""

    def __init__(self, codec: TextCodec, replacements: list[tuple[str, str]], hidden: frozenset[str]) -> None:
        super().__init__()
        self._token = codec.tokenizer.id_to_token
        self._hidden = hidden
        self._replacements = replacements

    def __missing__(self, token_id: int) -> str | int | None:
        token = self._token(token_id)
        if token is None or token in self._hidden:
            return self.setdefault(token_id, None)
        for old, new in self._replacements:
            token = token.replace(old, new)
        byte = byte_of(token)
        return self.setdefault(token_id, token if byte is None else byte)


class ByteFallbackDecoder:
    """Decodes text tokens at once and runs of byte tokens when they are certain; strips the text's leading spaces."""

    __slots__ = ("_broken", "_pieces", "_run", "_strip")

    def __init__(self, pieces: _FallbackPieces, strip: int, context_ids: Iterable[int]) -> None:
        self._pieces = pieces
        self._strip = strip  # spaces still to be stripped from the beginning of the whole text
        self._run = b""  # bytes of the current run that are not decoded yet, valid so far
        self._broken = False  # the current run is known to be invalid
        for token_id in context_ids:
            self.decode_token(token_id)
        # Characters that the context completed belong to it, even if its run of bytes continues in the output.
        self._stripped(self._settle())

    def decode_token(self, token_id: int) -> str:
        piece = self._pieces[token_id]
        if piece.__class__ is str:
            if self._run or self._broken:
                piece = self._end_run() + piece
            return self._stripped(piece) if self._strip else piece
        if piece is None:
            return ""
        return self._stripped(self._push_byte(piece))  # type: ignore[arg-type]

    def flush_text(self) -> str:
        return self._stripped(self._end_run())

    def _push_byte(self, byte: int) -> str:
        if self._broken:
            return REPLACEMENT
        self._run += bytes((byte,))
        try:
            utf_8_decode(self._run, "strict", False)
        except UnicodeDecodeError:
            self._broken = True
            held, self._run = len(self._run), b""
            return REPLACEMENT * held
        return self._settle() if len(self._run) >= LONGEST_HELD_BYTES else ""

    def _settle(self) -> str:
        """Decodes the run's whole characters and keeps the beginning of the next."""
        text, used = utf_8_decode(self._run, "strict", False)
        self._run = self._run[used:]
        return text

    def _end_run(self) -> str:
        run, self._run, self._broken = self._run, b"", False
        try:
            return run.decode()
        except UnicodeDecodeError:
            return REPLACEMENT * len(run)

    def _stripped(self, text: str) -> str:
        if not self._strip or not text:
            return text
        rest = text.lstrip(" ")
        spaces = len(text) - len(rest)
        taken = min(self._strip, spaces)
        self._strip = 0 if rest else self._strip - taken
        return text[taken:]


def factory(
    codec: TextCodec, parts: list[dict[str, Any]], hidden: frozenset[str]
) -> Callable[[Iterable[int]], ByteFallbackDecoder] | None:
    """Serves decoders that replace, fall back to bytes, fuse and perhaps strip leading spaces, in this order."""
    kind = _kind(parts)
    if kind is None:
        return None
    replacements, strip = kind
    pieces = _FallbackPieces(codec, replacements, hidden)
    return lambda context_ids: ByteFallbackDecoder(pieces, strip, context_ids)


def spelling(codec: TextCodec, parts: list[dict[str, Any]]) -> Callable[[int], bytes] | None:
    """Returns a function to the bytes of a token, special ones included; None for tokenizers of another kind."""
    kind = _kind(parts)
    if kind is None:
        return None
    pieces = _FallbackPieces(codec, kind[0], frozenset())

    def spell(token_id: int) -> bytes:
        piece = pieces[token_id]
        return piece.encode() if isinstance(piece, str) else b"" if piece is None else bytes((piece,))

    return spell


def _kind(parts: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], int] | None:
    """The (old, new) replacements and the number of leading spaces to strip; None for another kind of decoder."""
    rest = list(parts)
    replacements = []
    while rest and rest[0]["type"] == "Replace" and "String" in rest[0]["pattern"]:
        part = rest.pop(0)
        replacements.append((part["pattern"]["String"], part["content"]))
    if [part["type"] for part in rest[:2]] != ["ByteFallback", "Fuse"]:
        return None
    match rest[2:]:
        case []:
            return replacements, 0
        case [{"type": "Strip", "content": " ", "start": int(start), "stop": 0}]:
            return replacements, start
        case _:
            return None
