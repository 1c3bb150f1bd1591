"""Chat messages as clients send them, in the shape that chat templates expect."""

import json
from typing import Any

from xylem.shared.runtime.errors import InvalidRequest


def read_messages(data: bytes) -> list[dict[str, Any]]:
    """Messages for a template: null fields left out, text parts joined, tool arguments parsed.

    Raises InvalidRequest.
    """
    messages = read_json(data, "messages", list)
    if not messages:
        raise InvalidRequest("messages must not be empty", param="messages")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def read_json(data: bytes, param: str, kind: type) -> Any:
    """The JSON value in `data`. Raises InvalidRequest when it is none, or not of this kind."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{param} is not valid JSON: {error}", param=param) from None
    if not isinstance(value, kind):
        raise InvalidRequest(f"{param} must be {'a list' if kind is list else 'an object'}", param=param)
    return value


def _message(message: Any, place: str) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidRequest(f"{place} must be an object with a role", param="messages")
    # Like transformers: templates cope with a missing key, but many would render a null as "None".
    shaped = {name: value for name, value in message.items() if value is not None}
    if shaped["role"] == "developer":
        shaped["role"] = "system"
    if isinstance(shaped.get("content"), list):
        shaped["content"] = "".join(_text(part, f"{place}.content[{i}]") for i, part in enumerate(shaped["content"]))
    if isinstance(shaped.get("tool_calls"), list):
        shaped["tool_calls"] = [_tool_call(call) for call in shaped["tool_calls"]]
    return shaped


def _text(part: Any, place: str) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
    if not isinstance(text, str):
        raise InvalidRequest(f"{place}: this model reads only parts of type text", param="messages")
    return text


def _tool_call(call: Any) -> Any:
    """Templates write the arguments as JSON themselves, while OpenAI's clients send them as JSON in a string."""
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        return call
    function: dict[str, Any] = call["function"]
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        return call
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": parsed}} if isinstance(parsed, dict) else call
