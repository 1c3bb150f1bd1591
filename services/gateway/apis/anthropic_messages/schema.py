"""A Message, its content blocks and its usage."""

import msgspec

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.http.response_writer import Usage


class TextBlock(msgspec.Struct, frozen=True, gc=False):
    text: str
    type: str = "text"


class ThinkingBlock(msgspec.Struct, frozen=True, gc=False):
    """signature: nothing is signed here, but clients expect the field."""

    thinking: str
    signature: str = ""
    type: str = "thinking"


class ToolUseBlock(msgspec.Struct, frozen=True):
    id: str
    name: str
    input: JsonObject
    type: str = "tool_use"


Block = TextBlock | ThinkingBlock | ToolUseBlock


class MessageUsage(msgspec.Struct, frozen=True, gc=False):
    """input_tokens: those that were not in the cache."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int = 0

    @classmethod
    def of(cls, usage: Usage) -> "MessageUsage":
        cached = usage.prompt_tokens_details.cached_tokens
        return cls(usage.prompt_tokens - cached, usage.completion_tokens, cached)


class AnthropicMessage(msgspec.Struct, frozen=True):
    id: str
    model: str
    content: list[Block]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage
    role: str = "assistant"
    type: str = "message"
