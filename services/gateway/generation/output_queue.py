"""The output of a request's choices waits here for its reader, in one place of bounded size."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from xylem.services.gateway.generation.logprobs import LogprobToken, scored_of
from xylem.services.gateway.generation.text_rows import TextRow
from xylem.services.gateway.output_parsers.deltas import Delta
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import ITEM_BYTES, count, unpack


@dataclass(slots=True)
class OutputDelta:
    """Holds what a choice has got since the reader last looked: coalesced, so that a slow reader costs less, not more.

    deltas: the text, taken apart by the choice's parser (see session.py), scored: its tokens; last_deltas and
    last_scored: what is given out only at the end. matched: the stop that ended it.
    """

    index: int
    text: str = ""
    parts: list[int] = field(default_factory=list)  # the text's characters, by the tokens that they came with
    num_tokens: int = 0
    token_ids: bytes = b""  # column
    finish: FinishReason = FinishReason.NONE
    matched: str | None = None
    scored: list[LogprobToken] = field(default_factory=list)
    prompt_scored: list[LogprobToken] = field(default_factory=list)
    deltas: list[Delta] = field(default_factory=list)
    last_deltas: list[Delta] = field(default_factory=list)
    last_scored: list[LogprobToken] = field(default_factory=list)
    called: bool = False  # a call of a tool has begun by the end of it, told now or before
    vector: bytes = b""  # column of float32, instead of all this: an embedding
    num_prompt_tokens: int = 0  # of its choice, as far as they are known
    num_cached_tokens: int = 0
    answer_prefix: str = ""  # with the first piece

    def by_token(self) -> Iterator["OutputDelta"]:
        """The same, as if its tokens had come one by one: that depends on the tokens alone, not on when they came.

        To be called before the text is taken apart.
        """
        start, last = 0, len(self.parts) - 1
        for i, num_chars in enumerate(self.parts):
            ids = self.token_ids[i * ITEM_BYTES : (i + 1) * ITEM_BYTES]
            text = self.text[start : start + num_chars]
            piece = OutputDelta(self.index, text, [num_chars], count(ids), ids)
            if i == 0:
                piece.scored, piece.prompt_scored = self.scored, self.prompt_scored
                piece.answer_prefix = self.answer_prefix
            if i == last:
                piece.finish, piece.matched = self.finish, self.matched
            yield piece
            start += num_chars


class OutputQueue:
    """Request states put rows in, the HTTP response takes pieces out.

    An error comes after everything that was put before.
    """

    def __init__(self, max_unread_tokens: int) -> None:
        """max_unread_tokens: of one choice."""
        self._max_unread_tokens = max_unread_tokens
        self._pieces: dict[int, OutputDelta] = {}
        self._error: Exception | None = None
        self._filled = asyncio.Event()

    def put_row(self, index: int, row: TextRow) -> bool:
        """Adds to a choice. False: so much is unread that its reader must be given up."""
        piece = self._piece(index)
        piece.parts += unpack(row.parts) if row.parts else [len(row.text)]
        piece.text += row.text
        piece.num_tokens += count(row.token_ids)
        piece.token_ids += row.token_ids
        piece.finish = row.finish
        piece.matched = row.matched
        piece.answer_prefix = piece.answer_prefix or row.answer_prefix
        if row.scored is not None:
            piece.scored += scored_of(row.scored)
        if row.prompt_scored is not None:
            piece.prompt_scored = scored_of(row.prompt_scored)
        return piece.num_tokens <= self._max_unread_tokens

    def put_vector(self, index: int, vector: bytes) -> None:
        """An embedding, which is all that its choice gets."""
        piece = self._piece(index)
        piece.vector = vector
        piece.finish = FinishReason.STOP

    def put_error(self, error: Exception) -> None:
        """Ends everything with an error; the first one counts."""
        if self._error is None:
            self._error = error
            self._filled.set()

    async def take_deltas(self) -> list[OutputDelta]:
        """Returns what has come, at most one delta per choice; waits for some. Raises what `put_error` was given."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            self._filled.clear()
            await self._filled.wait()
        pieces = list(self._pieces.values())
        self._pieces = {}
        return pieces

    def _piece(self, index: int) -> OutputDelta:
        self._filled.set()
        piece = self._pieces.get(index)
        if piece is None:
            self._pieces[index] = piece = OutputDelta(index)
        return piece
