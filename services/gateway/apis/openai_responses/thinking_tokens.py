"""This module counts the tokens of an answer that were thought rather than said."""

from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.output_parsers.deltas import CallBegun, Reasoning


class ThinkingTokens:
    """Counts by the texts of pieces, since the parser that tells thinking from the answer sees no tokens.

    A piece with both is split in proportion to its characters; one whose text is held back, or that ends the thinking
    with a marker, counts as the last one did.
    """

    def __init__(self) -> None:
        self._count = 0.0
        self._share = 0.0  # of the last piece

    def add_output(self, piece: OutputDelta) -> None:
        thought = said = 0
        for delta in (*piece.deltas, *piece.last_deltas):
            if isinstance(delta, Reasoning):
                thought += len(delta.text)
            else:
                said += 1 if isinstance(delta, CallBegun) else len(delta.text)
        if thought or said:
            self._share = thought / (thought + said)
        self._count += self._share * piece.num_tokens

    @property
    def count(self) -> int:
        return round(self._count)
