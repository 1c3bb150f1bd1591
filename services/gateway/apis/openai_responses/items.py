"""Items of a conversation as /v1/responses has them: read, made uniform, and turned into chat messages.

A kept conversation is a list of such items, in the shape in which OpenAI lists input items.
"""

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from xylem.services.gateway.apis.openai_chat.chat_message import ChatMessage
from xylem.services.gateway.apis.openai_responses.schema import (
    CustomCall,
    CustomResult,
    FunctionCall,
    FunctionResult,
    InputText,
    Item,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningText,
    SummaryText,
    Thought,
)
from xylem.services.gateway.apis.openai_responses.tools import flat_name
from xylem.services.gateway.fields.json_object import arguments_text
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

KINDS = (
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "item_reference",
)
ROLES = ("user", "assistant", "system", "developer")
COMPLETED = "completed"
NO_ITEMS: Mapping[str, Item] = {}
TEXT_PARTS = ("input_text", "output_text", "text", "refusal")

# Keys that SDKs send back with an item; they say nothing to a model.
_CARRIED = ("id", "type", "status", "phase", "caller", "namespace", "internal_chat_message_metadata_passthrough")


def read_items(value: Json, known: Mapping[str, Item] = NO_ITEMS) -> list[Item]:
    """The items of `input`. Raises InvalidRequest that names the place. known: what references mean, by id."""
    if type(value) is str:
        return [_message("user", value)]
    items = sequence("input", value, "a string or a list of items")
    if not items:
        raise InvalidRequest("input must have at least one item", param="input")
    return [_read_item(f"input[{i}]", item, known) for i, item in enumerate(items)]


def referenced_ids(value: Json) -> list[str]:
    """Returns the ids of items that `input` only refers to."""
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return [str(item.get("id")) for item in items if item.get("type") == "item_reference"]


def _read_item(where: str, value: Json, known: Mapping[str, Item]) -> Item:
    item = mapping(where, value, "an item")
    kind = item.get("type") or "message"
    if type(kind) is not str or kind not in KINDS:
        raise InvalidRequest(
            f"{where}.type {str(kind)[:80]!r} is not supported; known: {', '.join(KINDS)}", param=f"{where}.type"
        )
    match kind:
        case "message":
            only_keys(where, item, (*_CARRIED, "role", "content"))
            role = one_of(f"{where}.role", item.get("role"), ROLES)
            return _message(role, _read_texts(f"{where}.content", item.get("content")))
        case "function_call":
            only_keys(where, item, (*_CARRIED, "call_id", "name", "arguments"))
            call_id, name = (text(f"{where}.{key}", item.get(key)) for key in ("call_id", "name"))
            arguments = arguments_text(item.get("arguments"))
            return FunctionCall(_new_id("fc"), COMPLETED, call_id, name, arguments, _space(where, item))
        case "custom_tool_call":
            only_keys(where, item, (*_CARRIED, "call_id", "name", "input"))
            call_id, name, given = (text(f"{where}.{key}", item.get(key)) for key in ("call_id", "name", "input"))
            return CustomCall(_new_id("ctc"), COMPLETED, call_id, name, given, _space(where, item))
        case "custom_tool_call_output":
            only_keys(where, item, (*_CARRIED, "call_id", "name", "output"))
            call_id = text(f"{where}.call_id", item.get("call_id"))
            return CustomResult(_new_id("ctco"), COMPLETED, call_id, _read_texts(f"{where}.output", item.get("output")))
        case "item_reference":
            only_keys(where, item, ("type", "id"))
            identity = text(f"{where}.id", item.get("id"))
            if identity not in known:
                raise InvalidRequest(f"{where}.id: there is no item {identity[:100]!r}", param=f"{where}.id")
            return known[identity]
        case "function_call_output":
            only_keys(where, item, (*_CARRIED, "call_id", "name", "output"))
            call_id = text(f"{where}.call_id", item.get("call_id"))
            output = _read_texts(f"{where}.output", item.get("output"))
            return FunctionResult(_new_id("fco"), COMPLETED, call_id, output)
    # What another server has encrypted can't be read here; thoughts of this one are in their content.
    only_keys(where, item, (*_CARRIED, "summary", "content", "encrypted_content"))
    return _thought(where, item)


def _space(where: str, item: JsonObject) -> str | msgspec.UnsetType:
    return msgspec.UNSET if item.get("namespace") is None else text(f"{where}.namespace", item["namespace"])


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def _message(role: str, said: str) -> MessageItem:
    part = OutputText(said, []) if role == "assistant" else InputText(said)
    return MessageItem(_new_id("msg"), COMPLETED, (part,), role)


def _thought(where: str, item: JsonObject) -> Thought:
    """A thought that comes back: its content, or what another server has made of it as a summary."""
    summary = _read_parts(f"{where}.summary", item.get("summary") or [], "summary_text")
    content = _read_parts(f"{where}.content", item.get("content") or [], "reasoning_text")
    return Thought(_new_id("rs"), COMPLETED, tuple(map(ReasoningText, content)), tuple(map(SummaryText, summary)))


def _read_texts(where: str, value: Json) -> str:
    return value if type(value) is str else "".join(_read_parts(where, value, *TEXT_PARTS))


def _read_parts(where: str, value: Json, *kinds: str) -> list[str]:
    texts = []
    for i, each in enumerate(sequence(where, value, "a string or a list of parts")):
        place = f"{where}[{i}]"
        part = mapping(place, each, "a part with a type")
        kind = part.get("type")
        if type(kind) is not str or kind not in kinds:
            raise InvalidRequest(
                f"{place}.type {str(kind)[:80]!r} is not supported; known: {', '.join(kinds)}", param=f"{place}.type"
            )
        key = "refusal" if kind == "refusal" else "text"
        texts.append(text(f"{place}.{key}", part.get(key)))
    return texts


def messages_of(items: list[Item], instructions: str | None) -> list[ChatMessage]:
    """Chat messages. What an assistant thought, said and called in one turn is one message, as templates expect it."""
    messages: list[ChatMessage] = []
    if instructions is not None:
        messages.append(ChatMessage("system", instructions))
    turn: ChatMessage | None = None  # the assistant's message that is being put together
    for item in items:
        if isinstance(item, FunctionResult | CustomResult):
            turn = None
            messages.append(ChatMessage("tool", item.output, tool_call_id=item.call_id))
        elif isinstance(item, MessageItem) and item.role != "assistant":
            turn = None
            messages.append(ChatMessage(item.role, _joined(item.content)))
        else:
            # A thought begins a new turn.
            if turn is None or (isinstance(item, Thought) and (turn.tool_calls or turn.reasoning_content is not None)):
                turn = ChatMessage("assistant", "")
                messages.append(turn)
            _add_to_turn(turn, item)
    return messages


def _add_to_turn(turn: ChatMessage, item: OutputItem) -> None:
    match item:
        case MessageItem():
            turn.content += _joined(item.content)
        case Thought():
            turn.reasoning_content = _joined(item.content) or _joined(item.summary)
        case FunctionCall():
            turn.add_call(item.call_id, flat_name(item.name, item.namespace or None), item.arguments)
        case CustomCall():
            arguments = arguments_text({"input": item.input})
            turn.add_call(item.call_id, flat_name(item.name, item.namespace or None), arguments)


def _joined(parts: Sequence[InputText | OutputText | ReasoningText | SummaryText]) -> str:
    return "".join(part.text for part in parts)
