"""Says whether any text at all matches a lexeme: an intersection may leave none."""

from functools import lru_cache
from typing import ClassVar

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.lark_text import lexeme_to_lark
from xylem.services.executor.structured_output.nodes import NOTHING, Lexeme, Node, prune

END = 256  # of the vocabulary below
DEAD_END = "NoExtension"
"""llguidance's error begins with it where nothing may follow, and an end may not, either."""


class _Bytes:
    """A vocabulary of the single bytes, and an end."""

    eos_token_id = END
    bos_token_id = None
    tokens: ClassVar = [*(bytes((i,)) for i in range(256)), b""]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@lru_cache
def _tokenizer() -> LLTokenizer:
    return LLTokenizer(TokenizerWrapper(_Bytes()), n_vocab=END + 1, slices=[])


def possible(node: Node) -> Node:
    """Returns the node, or NOTHING for a lexeme that no text matches. Raises GrammarFailed when it is too complex."""
    node = prune(node, set())
    if not isinstance(node, Lexeme) or len(node.all_of) + len(node.none_of) == 1:
        return node
    return node if _is_possible(lexeme_to_lark(node)) else NOTHING


@lru_cache(4096)
def _is_possible(written: str) -> bool:
    matcher = LLMatcher(_tokenizer(), f"start: T\nT: {written}\n", log_level=0)
    may_follow = matcher.compute_bitmask()[: END // 8]
    if matcher.is_error():
        if matcher.get_error().startswith(DEAD_END):
            return False
        raise GrammarFailed("the schema's patterns, or numbers, are too complex together")
    return matcher.is_accepting() or any(may_follow)
