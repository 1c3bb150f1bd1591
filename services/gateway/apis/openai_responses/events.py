"""The events of a response's stream. Many types share a shape; `sequence_number` counts all of a stream from 0."""

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import TokenLogprob
from xylem.services.gateway.apis.openai_responses.schema import OutputItem, OutputText, ReasoningText, Response


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    type: str
    sequence_number: int


class ResponseEvent(Event, frozen=True, kw_only=True, gc=False):
    """created, queued, in_progress, completed, incomplete, failed."""

    response: Response


class ItemEvent(Event, frozen=True, kw_only=True, gc=False):
    """output_item.added and .done."""

    output_index: int
    item: OutputItem


class PartEvent(Event, frozen=True, kw_only=True, gc=False):
    """content_part.added and .done."""

    item_id: str
    output_index: int
    content_index: int
    part: OutputText | ReasoningText


class TextDelta(Event, frozen=True, kw_only=True, gc=False):
    """output_text.delta, and reasoning_text.delta, which has no log probabilities."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[TokenLogprob] | msgspec.UnsetType = msgspec.UNSET


class TextDone(Event, frozen=True, kw_only=True, gc=False):
    """The .done of both, with the whole text."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[TokenLogprob] | msgspec.UnsetType = msgspec.UNSET


class ArgumentsDelta(Event, frozen=True, kw_only=True, gc=False):
    """function_call_arguments.delta and custom_tool_call_input.delta."""

    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(Event, frozen=True, kw_only=True, gc=False):
    item_id: str
    output_index: int
    name: str
    arguments: str


class InputDone(Event, frozen=True, kw_only=True, gc=False):
    """custom_tool_call_input.done."""

    item_id: str
    output_index: int
    input: str


class ErrorEvent(Event, frozen=True, kw_only=True, gc=False):
    """Comes before response.failed, with our own code and the field that is to blame."""

    code: str
    message: str
    param: str | None
