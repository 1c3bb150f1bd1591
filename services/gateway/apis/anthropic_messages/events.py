"""The events of a message's stream."""

import msgspec

from xylem.services.gateway.apis.anthropic_messages.schema import AnthropicMessage, Block, MessageUsage
from xylem.services.gateway.fields.json_types import JsonObject


class MessageStart(msgspec.Struct, frozen=True, gc=False):
    message: AnthropicMessage
    type: str = "message_start"


class Ping(msgspec.Struct, frozen=True, gc=False):
    type: str = "ping"


class BlockStart(msgspec.Struct, frozen=True, gc=False):
    index: int
    content_block: Block
    type: str = "content_block_start"


class TextBlockDelta(msgspec.Struct, frozen=True, gc=False):
    text: str
    type: str = "text_delta"


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False):
    thinking: str
    type: str = "thinking_delta"


class InputDelta(msgspec.Struct, frozen=True, gc=False):
    partial_json: str
    type: str = "input_json_delta"


class BlockDelta(msgspec.Struct, frozen=True, gc=False):
    index: int
    delta: TextBlockDelta | ThinkingDelta | InputDelta
    type: str = "content_block_delta"


class BlockStop(msgspec.Struct, frozen=True, gc=False):
    index: int
    type: str = "content_block_stop"


class Stop(msgspec.Struct, frozen=True, gc=False):
    stop_reason: str
    stop_sequence: str | None


class MessageDelta(msgspec.Struct, frozen=True, gc=False):
    delta: Stop
    usage: MessageUsage
    type: str = "message_delta"


class MessageStop(msgspec.Struct, frozen=True, gc=False):
    type: str = "message_stop"


class Error(msgspec.Struct, frozen=True):
    error: JsonObject
    type: str = "error"


Event = MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Error
