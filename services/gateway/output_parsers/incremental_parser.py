"""A parser that is written as straight code, and asks for the text piece by piece."""

from collections.abc import Generator
from re import Pattern
from typing import TypeVar

from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Delta
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer

T = TypeVar("T")

# Code that yields when it needs more text. It gets one character, or, where it yields a pattern, possibly a run of
# characters that match: a pattern says which characters are all treated alike, so it must not matter how a run is cut.
Steps = Generator[Pattern[str] | None, str, T]


class IncrementalParser:
    """Runs steps over the text.

    They see single characters (and runs that might as well be single characters), never the pieces that the text came
    in. That is why what they give out depends on the text only.
    """

    def __init__(self, buffer: ParserBuffer, steps: Steps[None]) -> None:
        self._buffer = buffer
        self._begun: list[Delta] = []  # before the text
        self._steps = steps
        self._wanted = next(steps)

    def push_text(self, text: str) -> list[Delta]:
        """Takes more text; returns what is certain now."""
        again = self._buffer.again
        at = 0
        while again or at < len(text):
            if again:
                piece = again.pop()
            else:
                run = self._wanted.match(text, at) if self._wanted else None
                piece = run.group() if run else text[at]
                at += len(piece)
            self._buffer.read(piece)
            self._wanted = self._steps.send(piece)
        return self._collect()

    def begin_with(self, prefix: str) -> None:
        """Takes the beginning of the answer that the prompt has: it is read like text, and not given out.

        A call that begins in the prefix is given out all the same: without its beginning its rest would be of no use.
        """
        self._begun = [delta for delta in self.push_text(prefix) if isinstance(delta, CallBegun | CallArguments)]
        self._buffer.skip_held()

    def flush_text(self, *, is_cut: bool = False) -> list[Delta]:
        """Returns what was held back, when no more text comes."""
        self._buffer.finish(is_cut=is_cut)
        return self._collect()

    def _collect(self) -> list[Delta]:
        begun, self._begun = self._begun, []
        return begun + self._buffer.collect()
