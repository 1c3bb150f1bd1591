"""Token merging for jump-forward: tokenizes forced text as the tokenizer would, where that is certain.

A stretch can be spelled by many tokens, and a model is used to one way: that of its tokenizer. Tokens are given only
where they are that way whatever follows: a tokenizer cuts text into words first and merges within a word, so all words
but the last one of what is known are certain.
"""

from collections.abc import Sequence

from xylem.shared.model_info.tokenizer_codec import TextCodec

CONTEXTS = (8, 5, 3, 1)  # tokens in front of a stretch that are looked at: a cut may show at the first of them


class TokenMerging:
    """spelled: bytes by token id, none for special tokens."""

    def __init__(self, codec: TextCodec, spelled: Sequence[bytes]) -> None:
        self._tokenizer = codec.tokenizer
        self._words = codec.tokenizer.pre_tokenizer
        self._spelled = spelled

    def merge_forced(self, before_ids: Sequence[int], stretch: str) -> list[int]:
        """Returns tokens of the beginning of a stretch, after the last of before_ids. Empty when none is certain."""
        if self._words is None:
            return []  # it merges across words: nothing is certain before the end
        for size in CONTEXTS:
            context = self._context(before_ids[-size:])
            if context is None:
                continue
            text, ids = context
            encoding = self._tokenizer.encode(text + stretch, add_special_tokens=False)
            if encoding.ids[: len(ids)] == ids:
                end = self._end_of_certain(text + stretch)
                certain = [i for i, (_, to) in zip(encoding.ids, encoding.offsets, strict=True) if to <= end]
                return self._checked(certain[len(ids) :], stretch)
        return []

    def _context(self, ids: Sequence[int]) -> tuple[str, list[int]] | None:
        """Returns text and ids after the last special token; None when they begin within a character."""
        spelled = [self._spelled[i] if i < len(self._spelled) else b"" for i in ids]
        first = max((at + 1 for at, piece in enumerate(spelled) if not piece), default=0)
        try:
            return b"".join(spelled[first:]).decode(), list(ids[first:])
        except UnicodeDecodeError:
            return None

    def _end_of_certain(self, text: str) -> int:
        """Returns the characters before the last word, which may go on."""
        assert self._words is not None
        words = self._words.pre_tokenize_str(text)
        return int(words[-1][1][0]) if words else 0

    def _checked(self, ids: list[int], stretch: str) -> list[int]:
        """Returns no ids where the tokenizer normalised the text: the grammar wants it unchanged."""
        return ids if stretch.encode().startswith(b"".join(self._spelled[i] for i in ids)) else []
