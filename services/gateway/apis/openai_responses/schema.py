"""A Response, its items and its usage, as OpenAI publishes their schemas."""

from typing import Any

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import TokenLogprob
from xylem.services.gateway.generation.session import Totals


class InputText(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="input_text"):
    text: str


class OutputText(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="output_text"):
    text: str
    logprobs: list[TokenLogprob]
    annotations: tuple[()] = ()


class ReasoningText(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="reasoning_text"):
    text: str


class SummaryText(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="summary_text"):
    text: str


class MessageItem(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="message"):
    id: str
    status: str
    content: tuple[InputText | OutputText, ...]
    role: str = "assistant"


class Thought(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="reasoning"):
    id: str
    status: str
    content: tuple[ReasoningText, ...]
    summary: tuple[SummaryText, ...] = ()


class FunctionCall(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="function_call"):
    id: str
    status: str
    call_id: str
    name: str
    arguments: str
    namespace: str | msgspec.UnsetType = msgspec.UNSET


class CustomCall(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="custom_tool_call"):
    id: str
    status: str
    call_id: str
    name: str
    input: str
    namespace: str | msgspec.UnsetType = msgspec.UNSET


class FunctionResult(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="function_call_output"):
    id: str
    status: str
    call_id: str
    output: str


class CustomResult(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="custom_tool_call_output"):
    id: str
    status: str
    call_id: str
    output: str


OutputItem = MessageItem | Thought | FunctionCall | CustomCall
Item = OutputItem | FunctionResult | CustomResult


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: int
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: int


class ResponseUsage(msgspec.Struct, frozen=True, gc=False):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int

    @classmethod
    def of(cls, totals: Totals, num_reasoning: int) -> "ResponseUsage":
        return cls(
            input_tokens=totals.prompt,
            input_tokens_details=InputDetails(totals.cached),
            output_tokens=totals.completion,
            output_tokens_details=OutputDetails(min(num_reasoning, totals.completion)),
            total_tokens=totals.prompt + totals.completion,
        )


class ResponseError(msgspec.Struct, frozen=True, gc=False):
    code: str
    message: str


class IncompleteDetails(msgspec.Struct, frozen=True, gc=False):
    reason: str


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot. status: queued, in_progress, completed, incomplete, failed or cancelled. usage: once it is known."""

    id: str
    object: str = "response"
    created_at: int
    completed_at: int | None = None
    status: str
    model: str
    output: tuple[OutputItem, ...] = ()
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: ResponseUsage | msgspec.UnsetType = msgspec.UNSET
    # From here on what the request has said, with defaults filled in.
    instructions: str | None
    previous_response_id: str | None
    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_logprobs: int
    text: dict[str, Any]
    tools: list[dict[str, Any]]
    tool_choice: Any
    parallel_tool_calls: bool
    reasoning: dict[str, Any]
    metadata: dict[str, str]
    store: bool
    background: bool
    truncation: str = "disabled"
    max_tool_calls: None = None
