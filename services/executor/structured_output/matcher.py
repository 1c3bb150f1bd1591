"""The state of one sequence in its grammar.

opening ──opens_id──▶ thinking ──after_id──▶ grammar        (a model that may think)
opening ──any other──────────────────────▶ grammar
          thinking ──after_id──▶ grammar                     (one that does)
                                 grammar                     (one that does not)
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from xylem.services.executor.structured_output.compiled_grammar import CompiledGrammar
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_state import Words, clear_bit, set_bit
from xylem.services.executor.structured_output.token_merging import CONTEXTS
from xylem.shared.protocol import Grammar

if TYPE_CHECKING:
    import torch


class _Phase(Enum):
    OPENING = 0
    THINKING = 1
    GRAMMAR = 2


class Matcher:
    """Tracks one sequence. Its state depends on the output token ids alone, on any executor. For one thread."""

    def __init__(
        self,
        compiled: CompiledGrammar,
        grammar: Grammar,
        *,
        end_ids: frozenset[int],
        output_ids: Sequence[int],
        context_ids: Sequence[int] = (),
    ) -> None:
        """output_ids: the earlier output of the sequence; context_ids: the end of its prompt.

        Raises ValueError when the grammar does not allow the output.
        """
        self._vocab_size = compiled.automaton.vocab_size
        self._state = compiled.automaton.begin(end_ids)
        self._end_ids = end_ids
        self._opens_id, self._after_id = grammar.opens_id, grammar.after_id
        self._phase = _Phase.GRAMMAR
        if grammar.after_id >= 0:
            self._phase = _Phase.OPENING if grammar.opens_id >= 0 else _Phase.THINKING
        self._merging = compiled.merging
        self._latest = deque(context_ids, maxlen=CONTEXTS[0])
        self._known: Words | None = None
        self._known_in = -1  # after so many more tokens that is the mask; -1: it is not
        for token_id in output_ids:
            if not self.accept(token_id):
                raise ValueError(f"token {token_id} does not follow in the grammar")

    def fill_mask(self, bitmask: "torch.Tensor", row: int) -> bool:
        """Writes the allowed tokens into a row of int32 [B, ceil(V/32)]; False: all are allowed, nothing is written.

        Raises GrammarFailed when they can't be found out, or there are none.
        """
        words: Words = bitmask[row].numpy()
        if self._phase is _Phase.THINKING:
            if not self._end_ids:
                return False
            words.fill(-1)
            for token_id in self._end_ids:
                clear_bit(words, token_id)
            return True
        if self._state.is_terminated:
            words.fill(0)
            for token_id in self._end_ids:
                set_bit(words, token_id)
            return True
        words[:] = self._known if self._known_in == 0 and self._known is not None else self._state.mask()
        if not words.any():
            raise GrammarFailed("the grammar leads to where nothing may follow")
        if self._phase is _Phase.OPENING:
            set_bit(words, self._opens_id)
        return True

    def accept(self, token_id: int) -> bool:
        """Accepts one token; False when it is not allowed here, and nothing has changed."""
        accepted = 0 <= token_id < self._vocab_size and self._accept(token_id)
        if accepted:
            self._latest.append(token_id)
        return accepted

    def _accept(self, token_id: int) -> bool:
        if self._phase is _Phase.OPENING and token_id == self._opens_id:
            self._phase = _Phase.THINKING
            return True
        if self._phase is _Phase.THINKING:
            if token_id == self._after_id:
                self._phase = _Phase.GRAMMAR
            return token_id not in self._end_ids
        if self._state.is_terminated:
            return token_id in self._end_ids
        if not self._state.accept(token_id):
            return False
        self._phase = _Phase.GRAMMAR
        self._known_in = max(self._known_in, 0) - 1
        return True

    @property
    def is_finished(self) -> bool:
        """Whether nothing may follow, and no token could end the text: some models have none for that."""
        if self._end_ids or self._phase is not _Phase.GRAMMAR:
            return False
        if self._state.is_terminated:
            return True
        self._known, self._known_in = self._state.mask(), 0
        return not self._known.any()

    def find_forced_tokens(self, limit: int) -> list[int]:
        """Returns the tokens that must come next, at most `limit`, whatever the model says; the state is not changed.

        These are the tokens of forced text, as the tokenizer merges it, and the only token that a mask allows.
        Raises GrammarFailed when the grammar contradicts itself.
        """
        self._known_in = -1
        if self._phase is not _Phase.GRAMMAR:
            return []
        forced: list[int] = []
        accepted = 0
        while len(forced) < limit and not self._state.is_terminated:
            more = self._merged(forced)[: limit - len(forced)] or self._only_one()
            if not more:
                self._known_in = accepted
                break
            forced += more
            if more[-1] in self._end_ids:
                break
            if not all(map(self._state.accept, more)):
                raise GrammarFailed(
                    f"tokens {more} were forced, which the grammar does not allow", code="internal_error"
                )
            accepted += len(more)
        if accepted:
            self._state.rollback(accepted)
        return forced

    def _merged(self, forced: Sequence[int]) -> list[int]:
        if self._merging is None:
            return []
        stretch = self._state.forced_text()
        return self._merging.merge_forced([*self._latest, *forced], stretch) if len(stretch) > 1 else []

    def _only_one(self) -> list[int]:
        """Returns the only token that the mask allows, if there is one. Keeps the mask."""
        self._known = self._state.mask()
        (places,) = np.nonzero(self._known)
        word = int(self._known[places[0]]) & 0xFFFFFFFF if len(places) == 1 else 0
        return [int(places[0]) * 32 + word.bit_length() - 1] if word.bit_count() == 1 else []
