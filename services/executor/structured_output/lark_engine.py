"""Grammars in llguidance's dialect of Lark: an Earley parser over a lexer whose states are made when they are met.

So a grammar compiles in milliseconds however far it counts, and a mask costs tens of microseconds. Each step's work is
limited, and so is the memory of the lexer's states; what needs more fails alone.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_state import Words, clear_bit, set_bit
from xylem.services.executor.structured_output.lark_text import to_regex
from xylem.services.executor.structured_output.lexeme_check import DEAD_END
from xylem.services.executor.structured_output.strings import PLAIN

# Masks allow every token that fits: not only those in which llguidance would write text that must come.
OPTIONS = {"no_forcing": True}
_DIRECTIVE = re.compile(r"^\s*%llguidance\s*(\{.*\})\s*$", re.MULTILINE)
LIMITS = LLParserLimits(max_items_in_row=20_000, max_lexer_states=50_000, verbose_errors=False)
BYTES_OF_ONE = 200_000  # a grammar with the states that its texts usually meet (measured: benchmarks.bench_grammar)
_RUN = to_regex(PLAIN)
# Tokens are tried in groups, so that a string's usual ones are allowed all at once: blanks, and plain characters.
SLICES = [r"[\x20\x0A\x0D\x09]+", *(f"{_RUN}{count}" for count in ("{1,10}", "{1,30}", "+"))]


class LarkVocabulary:
    """The tokens as llguidance holds them. spelled: bytes by token id, none for tokens that no grammar may use."""

    def __init__(self, spelled: Sequence[bytes], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._spelled = spelled

    @cached_property
    def tokenizer(self) -> LLTokenizer:
        """The trie of all tokens: 0.5 s and 70 MB for 150,000. It has one token more: its end, which no model has."""
        return LLTokenizer(
            TokenizerWrapper(_Tokens(self._spelled, self.vocab_size)), n_vocab=self.vocab_size + 1, slices=SLICES
        )


class _Tokens:
    """The tokens in the form that llguidance asks for."""

    bos_token_id = None

    def __init__(self, spelled: Sequence[bytes], vocab_size: int) -> None:
        missing = [b""] * max(0, vocab_size - len(spelled))
        self.tokens = [*spelled[:vocab_size], *missing, b""]
        self.eos_token_id = vocab_size

    def __call__(self, text: bytes) -> list[int]:
        """Returns no token ids: forced tokens are found elsewhere."""
        return []


class LarkGrammar:
    """A compiled Lark grammar."""

    engine = "lark"

    def __init__(self, vocabulary: LarkVocabulary, text: str) -> None:
        """Raises GrammarFailed for a text that is no grammar, or matches nothing."""
        self._vocabulary = vocabulary
        self._text = text
        self._matcher = LLMatcher(vocabulary.tokenizer, _with_options(text), log_level=0, limits=LIMITS)
        if self._matcher.is_error():
            raise GrammarFailed(_first_line(self._matcher.get_error()))
        start = self.begin(frozenset())
        if not start.mask().any() and not start.is_complete:
            raise GrammarFailed("it matches no text at all")

    @property
    def num_bytes(self) -> int:
        return BYTES_OF_ONE + 20 * len(self._text)

    @property
    def vocab_size(self) -> int:
        return self._vocabulary.vocab_size

    def serialized(self) -> bytes:
        return self._text.encode()

    def begin(self, end_ids: frozenset[int]) -> "LarkState":
        return LarkState(self._matcher.deep_copy(), self.vocab_size, end_ids)


class LarkState:
    """Knows where one sequence stands in a Lark grammar."""

    def __init__(self, matcher: LLMatcher, vocab_size: int, end_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._end_ids = end_ids
        self.is_terminated = False

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    def mask(self) -> Words:
        num_words = -(-self._vocab_size // 32)
        if self._matcher.is_stopped() and not self._matcher.is_error():
            words = np.zeros(num_words, np.int32)
        else:
            words = np.frombuffer(self._matcher.compute_bitmask(), np.int32)[:num_words].copy()
            if self._vocab_size % 32:
                clear_bit(words, self._vocab_size)
        if self._matcher.is_error():
            error = self._matcher.get_error()
            if not error.startswith(DEAD_END):
                raise GrammarFailed(f"the grammar can't be gone on with: {_first_line(error)}")
            words.fill(0)
        elif self.is_complete:
            for token_id in self._end_ids:
                set_bit(words, token_id)
        return words

    def accept(self, token_id: int) -> bool:
        if token_id in self._end_ids:
            self.is_terminated = self.is_complete
            return self.is_terminated
        return token_id < self._vocab_size and self._matcher.try_consume_tokens([token_id]) == 1

    def forced_text(self) -> str:
        try:
            return self._matcher.compute_ff_bytes().decode()
        except UnicodeDecodeError:
            return ""  # it begins within a character, or ends there

    def rollback(self, num_tokens: int) -> None:
        if self.is_terminated:
            self.is_terminated = False
            num_tokens -= 1
        if num_tokens:
            self._matcher.rollback(num_tokens)


def _with_options(text: str) -> str:
    """Returns the grammar with OPTIONS; it may have a line of its own for them."""
    given: dict[str, object] = {}
    for written in _DIRECTIVE.findall(text):
        with contextlib.suppress(ValueError):
            given |= json.loads(written)
    return f"%llguidance {json.dumps(given | OPTIONS)}\n" + _DIRECTIVE.sub("", text)


def _first_line(message: str) -> str:
    return message.strip().split("\n", 1)[0][:300]
