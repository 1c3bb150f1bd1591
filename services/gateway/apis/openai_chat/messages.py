"""Chat messages as clients send them, checked and made plain: one string of content each, known roles only."""

import msgspec

from xylem.services.gateway.fields.asks_nothing import asks_nothing
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.runtime.errors import InvalidRequest

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

# What a message may carry besides role and content; the chat template sees it.
CARRIED = ("name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning")

# What user interfaces put there for themselves, and marks of what is to be cached: they say nothing to a model.
IGNORED = ("id", "created_at", "metadata", "cache_control", "status")

_encoder = msgspec.json.Encoder()


def read_messages(value: Json) -> bytes:
    """Returns a JSON list for the chat template. Raises InvalidRequest that says which message is wrong."""
    if type(value) is not list:
        raise wrong("messages", "a list of messages", value)
    if not value:
        raise InvalidRequest("messages must have at least one message", param="messages")
    return _encoder.encode([_read_message(f"messages[{i}]", message) for i, message in enumerate(value)])


def _read_message(where: str, message: Json) -> JsonObject:
    if type(message) is not dict:
        raise wrong(where, "an object with role and content", message)
    role = message.get("role")
    if type(role) is not str or role not in ROLES:
        raise wrong(f"{where}.role", f"one of {', '.join(ROLES)}", role)
    plain: JsonObject = {"role": ROLES[role], "content": _read_content(where, role, message.get("content"))}
    for key, value in message.items():
        if key in ("role", "content", *IGNORED) or value in (None, {}):
            continue
        if key in CARRIED:
            # vLLM's name of the thoughts; clients that know both names send both.
            name = "reasoning_content" if key == "reasoning" else key
            plain.setdefault(name, _read_carried(f"{where}.{key}", key, value))
        elif not asks_nothing(value):
            raise InvalidRequest(f"{where}.{key[:80]} is not supported", param=f"{where}.{key[:80]}")
    return plain


def _read_content(where: str, role: str, content: Json) -> str:
    if type(content) is str:
        return content
    if content is None and role == "assistant":
        return ""  # it has only called tools
    if type(content) is not list:
        raise wrong(f"{where}.content", "a string or a list of text parts", content)
    return "".join(_read_part(f"{where}.content[{i}]", part) for i, part in enumerate(content))


def _read_part(where: str, part: Json) -> str:
    if type(part) is not dict:
        raise wrong(where, "a part with a type", part)
    if part.get("type") != "text":
        raise wrong(where, "a part of type text (others are not supported yet)", part.get("type"))
    text = part.get("text")
    if type(text) is not str:
        raise wrong(f"{where}.text", "a string", text)
    return text


def _read_carried(where: str, key: str, value: Json) -> Json:
    if key != "tool_calls":
        if type(value) is not str:
            raise wrong(where, "a string", value)
        return value
    if type(value) is not list:
        raise wrong(where, "a list of tool calls", value)
    for i, call in enumerate(value):
        # What the arguments are is the template's business: models write, and clients send back, all kinds of them.
        function = call.get("function", call) if type(call) is dict else None
        if type(function) is not dict:
            raise wrong(f"{where}[{i}]", "a tool call with a function", call)
        if type(function.get("name")) is not str:
            raise wrong(f"{where}[{i}].function.name", "a string", function.get("name"))
    return value
