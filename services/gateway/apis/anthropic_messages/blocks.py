"""Messages of content blocks, turned into chat messages."""

from typing import Any

from xylem.services.gateway.fields.json_object import arguments_text
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

ROLES = ("user", "assistant", "system")

# Marks of what is to be cached, and of who has called a tool: they say nothing to the model.
_CARRIED = ("type", "cache_control", "citations", "caller")


def read_messages(value: Json) -> list[dict[str, Any]]:
    """Chat messages. Raises InvalidRequest that names the block that is wrong."""
    messages: list[dict[str, Any]] = []
    for i, each in enumerate(sequence("messages", value, "a list of messages")):
        where = f"messages[{i}]"
        message = mapping(where, each, "an object with role and content")
        only_keys(where, message, ("role", "content"))
        role = one_of(f"{where}.role", message.get("role"), ROLES)
        content = message.get("content")
        if type(content) is str:
            messages.append({"role": role, "content": content})
            continue
        blocks = sequence(f"{where}.content", content, "a string or a list of blocks")
        read = _ASSISTANT if role == "assistant" else _USER if role == "user" else _SYSTEM
        own: list[dict[str, Any]] = []
        for j, block in enumerate(blocks):
            _read_block(f"{where}.content[{j}]", block, role, read, own)
        messages += own or [{"role": role, "content": ""}]
    return messages


def read_texts(where: str, value: Json) -> str:
    """A string, or the text of a list of text blocks."""
    if type(value) is str:
        return value
    own: list[dict[str, Any]] = []
    for i, block in enumerate(sequence(where, value, "a string or a list of text blocks")):
        _read_block(f"{where}[{i}]", block, "system", _SYSTEM, own)
    return "".join(message["content"] for message in own)


def _read_block(where: str, value: Json, role: str, read: dict[str, Any], own: list[dict[str, Any]]) -> None:
    """Adds a block to the chat messages that one message comes to."""
    block = mapping(where, value, "a block with a type")
    kind = block.get("type")
    if type(kind) is not str or kind not in read:
        raise InvalidRequest(
            f"{where}.type {str(kind)[:80]!r} is not supported in a message of role {role}; known: {', '.join(read)}",
            param=f"{where}.type",
        )
    read[kind](where, block, role, own)


def _last(own: list[dict[str, Any]], role: str) -> dict[str, Any]:
    """The chat message that a block of this role belongs to."""
    if not own or own[-1]["role"] != role:
        own.append({"role": role, "content": ""})
    return own[-1]


def _text(where: str, block: JsonObject, role: str, own: list[dict[str, Any]]) -> None:
    only_keys(where, block, (*_CARRIED, "text"))
    _last(own, role)["content"] += text(f"{where}.text", block.get("text"))


def _tool_result(where: str, block: JsonObject, _: str, own: list[dict[str, Any]]) -> None:
    """is_error goes unsaid: chat templates have no place for it, and the content tells it."""
    only_keys(where, block, (*_CARRIED, "tool_use_id", "content", "is_error"))
    call_id = text(f"{where}.tool_use_id", block.get("tool_use_id"))
    content = read_texts(f"{where}.content", block.get("content") or "")
    own.append({"role": "tool", "tool_call_id": call_id, "content": content})


def _tool_use(where: str, block: JsonObject, role: str, own: list[dict[str, Any]]) -> None:
    only_keys(where, block, (*_CARRIED, "id", "name", "input"))
    arguments = arguments_text(block.get("input"))
    function = {"name": text(f"{where}.name", block.get("name")), "arguments": arguments}
    call = {"id": text(f"{where}.id", block.get("id")), "type": "function", "function": function}
    _last(own, role).setdefault("tool_calls", []).append(call)


def _thinking(where: str, block: JsonObject, role: str, own: list[dict[str, Any]]) -> None:
    only_keys(where, block, (*_CARRIED, "thinking", "signature"))
    message = _last(own, role)
    message["reasoning_content"] = message.get("reasoning_content", "") + text(
        f"{where}.thinking", block.get("thinking")
    )


_SYSTEM = {"text": _text}
_USER = {"text": _text, "tool_result": _tool_result}
_ASSISTANT = {"text": _text, "thinking": _thinking, "tool_use": _tool_use}
