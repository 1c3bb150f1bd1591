"""Chat messages as they come over the bus, in the shape that chat templates expect.

The gateway's `read_messages` names the developer role and joins text parts, too: there to answer a client's mistake
with an error that names the field before a request exists, here because the shape is what templates need, and any
service may send `Generate` or `Tokenize`. Services import nothing of one another, and in shared the two would be one
function with the checks of both; so each keeps its few lines.
"""

import json
from typing import Any

from xylem.shared.model_info.template_values import AbsentContent, ArgumentsObject
from xylem.shared.runtime.errors import InvalidRequest


def parse_messages(data: bytes) -> list[dict[str, Any]]:
    """Parses messages for a template: leaves out null fields, joins text parts, parses the arguments of tool calls.

    An assistant's message has a content in any case.

    data: JSON list of messages. Raises InvalidRequest.
    """
    messages = parse_json(data, "messages", list)
    if not messages:
        raise InvalidRequest("messages must not be empty", param="messages")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def parse_json(data: bytes, param: str, kind: type) -> Any:
    """Parses JSON of the type `kind`. Raises InvalidRequest that names `param` when `data` holds no such value."""
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
    if shaped["role"] == "assistant" and not shaped.get("content"):
        shaped["content"] = AbsentContent() if shaped.get("tool_calls") else ""
    return shaped


def _text(part: Any, place: str) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part
    if not isinstance(text, str):
        raise InvalidRequest(f"{place}: this model reads only parts of type text", param="messages")
    return text


def _tool_call(call: Any) -> Any:
    """Parses the arguments: templates write them as JSON themselves, while OpenAI's clients send JSON in a string."""
    if not isinstance(call, dict):
        return call
    if isinstance(call.get("function"), dict):
        return {**call, "function": _with_arguments(call["function"])}
    return _with_arguments(call) if "name" in call else call


def _with_arguments(function: dict[str, Any]) -> dict[str, Any]:
    return {**function, "arguments": ArgumentsObject(function.get("arguments"))}
