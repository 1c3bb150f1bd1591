"""What all forms share."""

from typing import Protocol

import msgspec

from services.gateway.exchange import Totals
from services.gateway.mailbox import Piece
from shared.messages import Finish

REASONS = {Finish.STOP: "stop", Finish.LENGTH: "length"}


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: int


class Usage(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails

    @classmethod
    def of(cls, totals: Totals) -> "Usage":
        return cls(
            prompt_tokens=totals.prompt,
            completion_tokens=totals.completion,
            total_tokens=totals.prompt + totals.completion,
            prompt_tokens_details=PromptDetails(totals.cached),
        )


class Head(msgspec.Struct, frozen=True, gc=False):
    """What every chunk of an answer repeats."""

    id: str
    created: int
    model: str


# In a chunk: absent when the client has not asked for usage, null when it has and this is not the chunk that has it.
ChunkUsage = Usage | None | msgspec.UnsetType


class Form(Protocol):
    """One way to write an answer. It is made for one request, and remembers which choices it has begun."""

    def chunks(self, piece: Piece, usage: ChunkUsage) -> list[msgspec.Struct]:
        """What a stream says for a piece; exactly one chunk of a choice carries its finish reason."""

    def usage_chunk(self, usage: Usage) -> msgspec.Struct:
        """The chunk without choices."""

    def whole(self, texts: list[str], finishes: list[Finish], usage: Usage) -> msgspec.Struct:
        """The answer in one."""
