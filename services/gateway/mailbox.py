"""Where the text of a request's choices waits for its reader, in one place of bounded size."""

import asyncio
from dataclasses import dataclass

from shared.messages import Finish

MAX_UNREAD_TOKENS = 4096  # of one choice


@dataclass(slots=True)
class Piece:
    """What one choice has got since the reader last looked: coalesced, so that a slow reader costs less, not more."""

    index: int
    text: str = ""
    num_tokens: int = 0
    finish: Finish = Finish.NONE


class Mailbox:
    """Lives put pieces in, the HTTP response takes them out. An error comes after everything that was put before."""

    def __init__(self) -> None:
        self._pieces: dict[int, Piece] = {}
        self._error: Exception | None = None
        self._filled = asyncio.Event()

    def put(self, index: int, text: str, num_tokens: int, finish: Finish) -> bool:
        """Adds to a choice. False: so much is unread that its reader must be given up."""
        piece = self._pieces.get(index)
        if piece is None:
            self._pieces[index] = piece = Piece(index)
        piece.text += text
        piece.num_tokens += num_tokens
        piece.finish = finish
        self._filled.set()
        return piece.num_tokens <= MAX_UNREAD_TOKENS

    def fail(self, error: Exception) -> None:
        """Ends everything with an error; the first one counts."""
        if self._error is None:
            self._error = error
            self._filled.set()

    async def take(self) -> list[Piece]:
        """What has come, at most one piece per choice; waits for something. Raises what `fail` was given."""
        while not self._pieces:
            if self._error is not None:
                raise self._error
            self._filled.clear()
            await self._filled.wait()
        pieces = list(self._pieces.values())
        self._pieces = {}
        return pieces
