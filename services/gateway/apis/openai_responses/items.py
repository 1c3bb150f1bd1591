"""Items of a conversation as /v1/responses has them: read, made uniform, and turned into chat messages.

A kept conversation is a list of such items, each a JSON object in the shape in which OpenAI lists input items.
"""

import uuid
from typing import Any

from xylem.services.gateway.fields.json_object import arguments_text
from xylem.services.gateway.fields.json_types import Json
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

Item = dict[str, Any]

KINDS = ("message", "function_call", "function_call_output", "reasoning")
ROLES = ("user", "assistant", "system", "developer")
TEXT_PARTS = ("input_text", "output_text", "text", "refusal")

# Keys that SDKs send back with an item; they say nothing to a model.
_CARRIED = ("id", "type", "status", "phase", "caller", "namespace")


def read_items(value: Json) -> list[Item]:
    """The items of `input`. Raises InvalidRequest that names the place."""
    if type(value) is str:
        return [_message("user", value)]
    items = sequence("input", value, "a string or a list of items")
    if not items:
        raise InvalidRequest("input must have at least one item", param="input")
    return [_read_item(f"input[{i}]", item) for i, item in enumerate(items)]


def _read_item(where: str, value: Json) -> Item:
    item = mapping(where, value, "an item")
    kind = item.get("type", "message")
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
            names = {key: text(f"{where}.{key}", item.get(key)) for key in ("call_id", "name")}
            return _item("fc", "function_call", **names, arguments=arguments_text(item.get("arguments")))
        case "function_call_output":
            only_keys(where, item, (*_CARRIED, "call_id", "name", "output"))
            call_id = text(f"{where}.call_id", item.get("call_id"))
            output = _read_texts(f"{where}.output", item.get("output"))
            return _item("fco", "function_call_output", call_id=call_id, output=output)
    only_keys(where, item, (*_CARRIED, "summary", "content"))
    return _reasoning(where, item)


def _item(prefix: str, kind: str, **fields: Any) -> Item:
    return {"id": f"{prefix}_{uuid.uuid4().hex}", "type": kind, "status": "completed", **fields}


def _message(role: str, said: str) -> Item:
    part: dict[str, Any] = {"type": "input_text", "text": said}
    if role == "assistant":
        part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
    return _item("msg", "message", role=role, content=[part])


def _reasoning(where: str, item: dict[str, Any]) -> Item:
    """A thought that comes back: its content, or what another server has made of it as a summary."""
    texts = {key: _read_parts(f"{where}.{key}", item.get(key) or [], f"{kind}_text") for key, kind in _THOUGHTS}
    return _item(
        "rs",
        "reasoning",
        **{key: [{"type": f"{kind}_text", "text": each} for each in texts[key]] for key, kind in _THOUGHTS},
    )


_THOUGHTS = (("summary", "summary"), ("content", "reasoning"))


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


def messages_of(items: list[Item], instructions: str | None) -> list[dict[str, Any]]:
    """Chat messages. What an assistant thought, said and called in one turn is one message, as templates expect it."""
    messages: list[dict[str, Any]] = []
    if instructions is not None:
        messages.append({"role": "system", "content": instructions})
    turn: dict[str, Any] | None = None  # the assistant's message that is being put together
    for item in items:
        if item["type"] == "function_call_output":
            turn = None
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
        elif item["type"] == "message" and item["role"] != "assistant":
            turn = None
            messages.append({"role": item["role"], "content": _joined(item["content"])})
        else:
            if turn is None or (item["type"] == "reasoning" and len(turn) > 2):  # a thought begins a new turn
                turn = {"role": "assistant", "content": ""}
                messages.append(turn)
            _add_to_turn(turn, item)
    return messages


def _add_to_turn(turn: dict[str, Any], item: Item) -> None:
    match item["type"]:
        case "message":
            turn["content"] += _joined(item["content"])
        case "reasoning":
            turn["reasoning_content"] = _joined(item["content"]) or _joined(item["summary"])
        case _:
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            turn.setdefault("tool_calls", []).append(call)


def _joined(parts: list[dict[str, Any]]) -> str:
    return "".join(part["text"] for part in parts)
