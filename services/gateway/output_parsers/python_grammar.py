"""A grammar of a Python call, which xgrammar has no style for: names of arguments, each with a JSON value.

JSON's values are Python's but for true, false and null, which the parser takes for what they mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from xylem.services.gateway.output_parsers.parser_buffer import Schema

Node = dict[str, Any]


def python_call(name: str, schema: Schema) -> Node:
    """name(key=value, ...): the required arguments first, each other one at most once and in the schema's order."""
    properties = schema.get("properties")
    members = dict(properties) if isinstance(properties, Mapping) else {}
    needed = schema.get("required", [])
    # What a member refers to is defined beside the members.
    beside = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    required = [_argument(key, members[key], beside) for key in members if key in needed]
    others = [_argument(key, members[key], beside) for key in members if key not in needed]
    if required:
        elements = [*_joined(required), *_perhaps(others)]
    elif others:
        # Any of them may be the first one, which has no comma in front of it.
        elements = [_optional({"type": "or", "elements": _from_each(others)})]
    else:
        elements = []
    begin, end = f"{name}(", ")"
    if not elements:
        return {"type": "tag", "begin": begin, "content": _text(end), "end": ""}
    return {"type": "tag", "begin": begin, "content": _sequence(elements), "end": end}


def _argument(key: str, member: Any, beside: Schema) -> Node:
    schema = {**member, **beside} if isinstance(member, Mapping) else member
    value = {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": 1}
    return _sequence([_text(f"{key}="), value])


def _from_each(arguments: Sequence[Node]) -> list[Node]:
    return [_sequence([argument, *_perhaps(arguments[at + 1 :])]) for at, argument in enumerate(arguments)]


def _joined(arguments: Sequence[Node]) -> list[Node]:
    return [arguments[0], *(_sequence([_text(", "), argument]) for argument in arguments[1:])]


def _perhaps(arguments: Sequence[Node]) -> list[Node]:
    return [_optional(_sequence([_text(", "), argument])) for argument in arguments]


def _optional(content: Node) -> Node:
    return {"type": "optional", "content": content}


def _sequence(elements: Sequence[Node]) -> Node:
    return {"type": "sequence", "elements": list(elements)}


def _text(value: str) -> Node:
    return {"type": "const_string", "value": value}
