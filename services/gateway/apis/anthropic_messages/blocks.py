"""Messages of content blocks, turned into chat messages."""

from collections.abc import Callable, Mapping

from xylem.services.gateway.apis.openai_chat.chat_message import ChatMessage
from xylem.services.gateway.fields.json_object import arguments_text
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

ROLES = ("user", "assistant", "system")

# Marks of what is to be cached, and of who has called a tool: they say nothing to the model.
_CARRIED = ("type", "id", "cache_control", "citations", "caller")

# The first system block of Claude Code. What stands in it changes from one conversation to the next.
CLIENT_HEADER = "x-anthropic-billing-header:"

# Reads a block of one type: its place, itself, the role it is said in, and the chat messages that it adds to.
ReadBlock = Callable[[str, JsonObject, str, list[ChatMessage]], None]


def read_messages(value: Json) -> list[ChatMessage]:
    """Chat messages. Raises InvalidRequest that names the block that is wrong."""
    messages: list[ChatMessage] = []
    for i, each in enumerate(sequence("messages", value, "a list of messages")):
        where = f"messages[{i}]"
        message = mapping(where, each, "an object with role and content")
        only_keys(where, message, ("role", "content", "id"))
        role = one_of(f"{where}.role", message.get("role"), ROLES)
        content = message.get("content")
        if type(content) is str:
            messages.append(ChatMessage(role, content))
            continue
        blocks = sequence(f"{where}.content", content, "a string or a list of blocks")
        read = _ASSISTANT if role == "assistant" else _USER if role == "user" else _SYSTEM
        own: list[ChatMessage] = []
        for j, block in enumerate(blocks):
            _read_block(f"{where}.content[{j}]", block, role, read, own)
        messages += own or [ChatMessage(role, "")]
    return messages


def read_texts(where: str, value: Json, role: str = "system") -> str:
    """Returns a string, or the text of a list of text blocks. A result may also name tools that a search has found."""
    if type(value) is str:
        return value
    read = _RESULT if role == "tool" else _SYSTEM
    own: list[ChatMessage] = []
    for i, block in enumerate(sequence(where, value, "a string or a list of text blocks")):
        _read_block(f"{where}[{i}]", block, role, read, own)
    return "".join(message.content for message in own)


def without_header(system: Json) -> Json:
    """Leaves out the blocks of a system prompt that are a client's header: behind one no prefix is ever found again."""
    return [each for each in system if not _is_header(each)] if isinstance(system, list) else system


def _is_header(block: Json) -> bool:
    said = block.get("text") if isinstance(block, dict) else None
    return isinstance(said, str) and said.startswith(CLIENT_HEADER)


def _read_block(where: str, value: Json, role: str, read: Mapping[str, ReadBlock], own: list[ChatMessage]) -> None:
    """Adds a block to the chat messages that one message comes to."""
    block = mapping(where, value, "a block with a type")
    kind = block.get("type")
    if type(kind) is not str or kind not in read:
        raise InvalidRequest(
            f"{where}.type {str(kind)[:80]!r} is not supported in a message of role {role}; known: {', '.join(read)}",
            param=f"{where}.type",
        )
    read[kind](where, block, role, own)


def _last(own: list[ChatMessage], role: str) -> ChatMessage:
    """The chat message that a block of this role belongs to."""
    if not own or own[-1].role != role:
        own.append(ChatMessage(role, ""))
    return own[-1]


def _text(where: str, block: JsonObject, role: str, own: list[ChatMessage]) -> None:
    only_keys(where, block, (*_CARRIED, "text"))
    _last(own, role).content += text(f"{where}.text", block.get("text"))


def _tool_result(where: str, block: JsonObject, _: str, own: list[ChatMessage]) -> None:
    """is_error goes unsaid: chat templates have no place for it, and the content tells it."""
    only_keys(where, block, (*_CARRIED, "tool_use_id", "content", "is_error"))
    call_id = text(f"{where}.tool_use_id", block.get("tool_use_id"))
    content = read_texts(f"{where}.content", block.get("content") or "", "tool")
    own.append(ChatMessage("tool", content, tool_call_id=call_id))


def _tool_reference(where: str, block: JsonObject, role: str, own: list[ChatMessage]) -> None:
    only_keys(where, block, (*_CARRIED, "tool_name"))
    _last(own, role).content += f"{text(f'{where}.tool_name', block.get('tool_name'))}\n"


def _redacted_thinking(where: str, block: JsonObject, role: str, own: list[ChatMessage]) -> None:
    """Another server has encrypted the thought: there is nothing in it to read."""
    only_keys(where, block, (*_CARRIED, "data"))
    text(f"{where}.data", block.get("data"))
    _last(own, role)


def _tool_use(where: str, block: JsonObject, role: str, own: list[ChatMessage]) -> None:
    only_keys(where, block, (*_CARRIED, "id", "name", "input"))
    arguments = arguments_text(block.get("input"))
    name = text(f"{where}.name", block.get("name"))
    _last(own, role).add_call(text(f"{where}.id", block.get("id")), name, arguments)


def _thinking(where: str, block: JsonObject, role: str, own: list[ChatMessage]) -> None:
    only_keys(where, block, (*_CARRIED, "thinking", "signature"))
    message = _last(own, role)
    thought = text(f"{where}.thinking", block.get("thinking"))
    message.reasoning_content = (message.reasoning_content or "") + thought


_SYSTEM: dict[str, ReadBlock] = {"text": _text}
_USER: dict[str, ReadBlock] = {"text": _text, "tool_result": _tool_result}
_RESULT: dict[str, ReadBlock] = {"text": _text, "tool_reference": _tool_reference}
_ASSISTANT: dict[str, ReadBlock] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
}
