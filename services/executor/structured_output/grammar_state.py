"""The two interfaces that engines of grammars share: a compiled grammar, and where one sequence stands in it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int32]
"""A bitmask over the vocabulary, [V / 32 rounded up]: bit t % 32 of word t // 32 is 1 where token t may come."""


class GrammarState(Protocol):
    """Knows where one sequence stands. For one thread at a time."""

    @property
    def is_terminated(self) -> bool:
        """Whether an end token was accepted, so that nothing may follow."""
        ...

    def mask(self) -> Words:
        """Returns what may come next. Raises GrammarFailed when it takes too much to find out."""
        ...

    def accept(self, token_id: int) -> bool:
        """Accepts one token; False when it may not come here, and nothing has changed."""
        ...

    def forced_text(self) -> str:
        """Returns the text that must follow, whatever the tokens; empty when it is not certain."""
        ...

    def rollback(self, num_tokens: int) -> None:
        """Takes back the last tokens."""
        ...


class Automaton(Protocol):
    """A grammar compiled over a vocabulary, shared by all sequences that have it."""

    engine: str
    """Says which engine reads `serialized`."""

    @property
    def num_bytes(self) -> int:
        """Returns about how much memory it takes."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of logits."""
        ...

    def serialized(self) -> bytes:
        """Returns it for another process."""
        ...

    def begin(self, end_ids: frozenset[int]) -> GrammarState:
        """Returns the state before the first token. end_ids: the tokens that may come when the text is complete."""
        ...


def set_bit(words: Words, token_id: int) -> None:
    words.view(np.uint32)[token_id // 32] |= np.uint32(1 << token_id % 32)


def clear_bit(words: Words, token_id: int) -> None:
    words.view(np.uint32)[token_id // 32] &= np.uint32(~(1 << token_id % 32) & 0xFFFFFFFF)
