"""A compiled grammar with what jump-forward needs of the tokenizer."""

from dataclasses import dataclass

from xylem.services.executor.structured_output.grammar_state import Automaton
from xylem.services.executor.structured_output.token_merging import TokenMerging


@dataclass(frozen=True, slots=True)
class CompiledGrammar:
    """A grammar over this vocabulary, shared by all sequences that have it."""

    automaton: Automaton
    merging: TokenMerging | None = None

    @property
    def num_bytes(self) -> int:
        return self.automaton.num_bytes
