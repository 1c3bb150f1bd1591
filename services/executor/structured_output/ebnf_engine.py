"""Grammars in xgrammar's EBNF, and its structural tags in forms that Lark has no word for.

EBNF has no lexemes: every rule goes on with any character, which only a pushdown automaton follows. xgrammar resolves
most tokens when it compiles, so a grammar may take seconds, and much memory.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

from xylem.services.executor.structured_output.ebnf_check import matches_some_text
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_state import GrammarState, Words

if TYPE_CHECKING:
    import xgrammar

Loading = Callable[[], AbstractContextManager[None]]
CACHE_BYTES = 64 << 20
NO_TEXT = "it matches no text at all"


class EbnfVocabulary:
    """The tokens as xgrammar holds them; what needs it comes late, for it imports torch.

    spelled: bytes by token id. loading: entered while the compiler is made, which takes seconds and much memory, once.
    """

    def __init__(
        self, spelled: Sequence[bytes], vocab_size: int, end_ids: Iterable[int], loading: Loading = nullcontext
    ) -> None:
        self._loading = loading
        self.vocab_size = vocab_size
        self._spelled = spelled
        self._end_ids = sorted(set(end_ids))

    @cached_property
    def table(self) -> "xgrammar.TokenizerInfo":
        """The tokens. Ids without a token are never allowed."""
        import xgrammar

        return xgrammar.TokenizerInfo(
            list(self._spelled[: self.vocab_size]),
            xgrammar.VocabType.RAW,
            vocab_size=self.vocab_size,
            stop_token_ids=self._end_ids or None,
        )

    @cached_property
    def compiler(self) -> "xgrammar.GrammarCompiler":
        """A compiler of one thread, for the cores belong to the model; its cache holds rules that grammars share."""
        with self._loading():
            import xgrammar

            return xgrammar.GrammarCompiler(
                self.table, max_threads=1, cache_enabled=True, cache_limit_bytes=CACHE_BYTES
            )


class EbnfGrammar:
    """A grammar compiled by xgrammar."""

    engine = "ebnf"

    def __init__(self, compiled: "xgrammar.CompiledGrammar") -> None:
        self._compiled = compiled

    @classmethod
    def from_ebnf(cls, vocabulary: EbnfVocabulary, text: str) -> "EbnfGrammar":
        """Raises GrammarFailed."""
        compiler = vocabulary.compiler
        import xgrammar

        def compile_it() -> xgrammar.CompiledGrammar:
            grammar = xgrammar.Grammar.from_ebnf(text)
            if not matches_some_text(str(grammar)):
                raise GrammarFailed(NO_TEXT)
            return compiler.compile_grammar(grammar)

        return cls.made(compile_it)

    @classmethod
    def from_tag(cls, vocabulary: EbnfVocabulary, tag: str) -> "EbnfGrammar":
        """Raises GrammarFailed."""
        compiler = vocabulary.compiler
        return cls.made(lambda: compiler.compile_structural_tag(tag))

    @classmethod
    def made(cls, compile_it: "Callable[[], xgrammar.CompiledGrammar]") -> "EbnfGrammar":
        """Makes one with what xgrammar compiles. Raises GrammarFailed, also for a grammar that matches nothing."""
        try:
            made = cls(compile_it())
        except (RuntimeError, ValueError, TypeError) as error:  # of xgrammar, which says more than it needs
            message = "it needs too much memory" if "bad_alloc" in str(error) else _words(error)
            raise GrammarFailed(message) from None
        if not made.begin(frozenset([0])).mask().any():
            raise GrammarFailed(NO_TEXT)
        return made

    @classmethod
    def read(cls, vocabulary: EbnfVocabulary, serialized: bytes) -> "EbnfGrammar":
        """Reads what another process has serialized; other threads run meanwhile."""
        import xgrammar

        return cls(xgrammar.CompiledGrammar.deserialize_json(serialized.decode(), vocabulary.table))

    @property
    def num_bytes(self) -> int:
        return int(self._compiled.memory_size_bytes)

    @property
    def vocab_size(self) -> int:
        return int(self._compiled.tokenizer_info.vocab_size)

    def serialized(self) -> bytes:
        return self._compiled.serialize_json().encode()

    def begin(self, end_ids: frozenset[int]) -> GrammarState:
        return _EbnfState(self._compiled, self.vocab_size, end_ids)


class _EbnfState:
    def __init__(self, compiled: "xgrammar.CompiledGrammar", vocab_size: int, end_ids: frozenset[int]) -> None:
        import xgrammar

        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=sorted(end_ids) or None)
        self._bitmask = xgrammar.allocate_token_bitmask(1, vocab_size)

    @property
    def is_terminated(self) -> bool:
        return bool(self._matcher.is_terminated())

    def mask(self) -> Words:
        if not self._matcher.fill_next_token_bitmask(self._bitmask, 0):
            self._bitmask.fill_(-1)
        words: Words = self._bitmask[0].numpy().copy()
        return words

    def accept(self, token_id: int) -> bool:
        return bool(self._matcher.accept_token(token_id))

    def forced_text(self) -> str:
        try:
            return str(self._matcher.find_jump_forward_string())
        except UnicodeDecodeError:
            return ""  # it begins within a character, or ends there

    def rollback(self, num_tokens: int) -> None:
        self._matcher.rollback(num_tokens)


def _words(error: Exception) -> str:
    """Returns the message of xgrammar without the place in its source."""
    return re.sub(r"^\[[^\]]*\] \S+: ", "", str(error).strip())[:500]
