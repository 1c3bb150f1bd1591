"""Any other decoder (Metaspace, WordPiece, ...): decodes a small window of the latest tokens again and again.

The window begins with the token before the new ones, so that the decoder treats the new ones as followers; the text of
that token alone is removed from the result.
"""

from collections.abc import Callable, Iterable
from typing import Any

from xylem.shared.model_info.tokenizer_codec import TextCodec

REPLACEMENT = "\ufffd"
LONGEST_HELD_TOKENS = 8  # a character has 4 bytes at most: after so many tokens a U+FFFD is no half character


class _Rendered(dict[int, bool]):
    """Maps a token id to whether it has text; filled as tokens are met."""

    def __init__(self, codec: TextCodec, hidden: frozenset[str]) -> None:
        super().__init__()
        self._token = codec.tokenizer.id_to_token
        self._hidden = hidden

    def __missing__(self, token_id: int) -> bool:
        token = self._token(token_id)
        return self.setdefault(token_id, token is not None and token not in self._hidden)


class WindowedDecoder:
    """Tokens [0, _read) of the window are returned already and decode to _known; the rest is held back."""

    __slots__ = ("_codec", "_known", "_read", "_rendered", "_window")

    def __init__(self, codec: TextCodec, rendered: _Rendered, context_ids: Iterable[int]) -> None:
        self._codec = codec
        self._rendered = rendered
        self._window: list[int] = []
        self._read = 0
        self._known = ""
        for token_id in context_ids:
            self.decode_token(token_id)

    def decode_token(self, token_id: int) -> str:
        if not self._rendered[token_id]:
            return ""
        self._window.append(token_id)
        text = self._codec.decode(self._window, skip_special_tokens=False)
        if text.endswith(REPLACEMENT) and len(self._window) - self._read < LONGEST_HELD_TOKENS:
            return ""
        new = text[len(self._known) :]
        del self._window[: self._read]
        self._read = len(self._window)
        self._known = self._codec.decode(self._window, skip_special_tokens=False)
        return new

    def flush_text(self) -> str:
        new = self._codec.decode(self._window, skip_special_tokens=False)[len(self._known) :]
        self._read = len(self._window)
        self._known += new
        return new


def factory(
    codec: TextCodec, parts: list[dict[str, Any]], hidden: frozenset[str]
) -> Callable[[Iterable[int]], WindowedDecoder]:
    """Serves every tokenizer."""
    rendered = _Rendered(codec, hidden)
    return lambda context_ids: WindowedDecoder(codec, rendered, context_ids)


def spelling(codec: TextCodec, parts: list[dict[str, Any]]) -> Callable[[int], bytes]:
    """Returns a function to the text of a token by itself, special ones included."""
    return lambda token_id: codec.decode([token_id], skip_special_tokens=False).encode()
