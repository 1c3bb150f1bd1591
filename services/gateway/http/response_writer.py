"""This module holds what all response writers share."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeVar

import msgspec

from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import Totals
from xylem.services.gateway.http.server_sent_event import event
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import ITEM_BYTES, unpack
from xylem.shared.runtime.errors import XylemError

REASONS = {FinishReason.STOP: "stop", FinishReason.LENGTH: "length", FinishReason.ABORT: "abort"}


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
    """Holds what every chunk of an answer repeats."""

    id: str
    created: int
    model: str


def matched_stop(ended: OutputDelta | ChoiceOutput) -> int | str | None:
    """The stop string or token id that ended a choice, where one did (an extension that SGLang has, too)."""
    if ended.finish is not FinishReason.STOP:
        return None
    if ended.matched is not None:
        return ended.matched
    return unpack(ended.token_ids[-ITEM_BYTES:])[0] if ended.token_ids else None


def call_id(head: Head, choice: int, index: int) -> str:
    """Returns the id of a tool call: the same when an answer has to be generated anew."""
    return f"call_{head.id.rpartition('-')[2][:20]}{choice:02x}{index:02x}"


# In a chunk: absent when the client has not asked for usage, null when it has and this is not the chunk that has it.
ChunkUsage = Usage | None | msgspec.UnsetType


C = TypeVar("C")  # what it makes events of


class ResponseWriter(Protocol[C]):
    """One way to write an answer. It is made for one request, and remembers which choices it has begun.

    named: its events have names, and no [DONE] follows them.
    """

    named: ClassVar[bool]

    def write_event(self, chunk: C) -> bytes:
        """Returns the bytes of an event."""

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> Sequence[C]:
        """Returns the events of a delta; exactly one chunk of a choice carries its finish reason."""

    def build_closing(self, usage: Usage) -> Sequence[C]:
        """Returns the events after all choices are finished: of unnamed ones, only if usage is asked for."""

    def build_failure(self, error: XylemError) -> Sequence[C]:
        """Returns the events of a stream of named events that can't go on."""

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> object:
        """The answer in one."""


class PlainEvents:
    """For forms whose stream has events without names: errors look the same for all of them."""

    named: ClassVar[bool] = False

    def write_event(self, chunk: object) -> bytes:
        return event(chunk)

    def build_failure(self, error: XylemError) -> list[msgspec.Struct]:
        return []


class WholeOnly(PlainEvents):
    """For forms of answers that are never streamed."""

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[msgspec.Struct]:
        return []

    def build_closing(self, usage: Usage) -> list[msgspec.Struct]:
        return []
