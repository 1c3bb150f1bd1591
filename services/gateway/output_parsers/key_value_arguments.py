"""Arguments that come as keys and values rather than as JSON: what is given out is JSON all the same."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer, Schema
from xylem.services.gateway.output_parsers.scan_steps import Markers, until

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
_PYTHON = {"True": "true", "False": "false", "None": "null"}


class ObjectText:
    """Writes the members of an object, as arguments of the call that began last."""

    def __init__(self, buffer: ParserBuffer) -> None:
        self._buffer = buffer
        self._before = "{"

    def key(self, key: str) -> None:
        self._buffer.arguments(f"{self._before}{json_of(key)}: ")
        self._before = ", "

    def end_object(self) -> None:
        self._buffer.arguments("}" if self._before == ", " else "{}")


def read_value(buffer: ParserBuffer, types: frozenset[str], endings: Markers, *, lines: bool) -> Steps[str]:
    """Reads a value up to one of the endings, which it returns, and gives it out as JSON.

    A string goes out as it comes. Anything else waits for its end, because only then it is clear what it is. lines: a
    line break after the opening and one before the ending belong to the format.
    """
    if types != {"string"}:
        found = yield from until(buffer, endings, None)
        text = buffer.take().removesuffix(found)
        buffer.arguments(typed(_inner(text) if lines else text, types))
        return found
    buffer.arguments('"')
    if lines and (yield None) != "\n":
        buffer.unread()
    buffer.drop()
    found = yield from until(buffer, endings, lambda text: buffer.arguments(inside(text)))
    text = buffer.take().removesuffix(found)
    buffer.arguments(inside(text.removesuffix("\n") if lines else text) + '"')
    return found


def _inner(text: str) -> str:
    return text.removeprefix("\n").removesuffix("\n")


def typed(text: str, types: frozenset[str]) -> str:
    """JSON for a value that was written without quotes: what the schema says it is, or what it looks like."""
    bare = text.strip()
    bare = _PYTHON.get(bare, bare)
    try:
        value = json.loads(bare, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return _python(bare) if types & {"object", "array"} else json_of(text)
    kind = _TYPES.get(type(value), "null")
    if "string" in types and kind not in types and not (kind == "integer" and "number" in types):
        return json_of(text)
    return bare


def _python(text: str) -> str:
    """Some models write objects and lists the way Python prints them."""
    try:
        return json.dumps(ast.literal_eval(text), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return json_of(text)


def _no_number(name: str) -> float:
    raise ValueError(name)


def json_of(text: str) -> str:
    """The text as a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def inside(text: str) -> str:
    """The text as a part of a JSON string."""
    return json_of(text)[1:-1]


def types_of(schema: Schema, key: str) -> frozenset[str]:
    """The types that an argument may have, as JSON schema calls them; none of them when the schema does not say."""
    properties = schema.get("properties")
    member = properties.get(key) if isinstance(properties, dict) else None
    return frozenset(_types(member, schema, depth=0))


def _types(member: Any, root: Schema, depth: int) -> Iterator[str]:
    # A schema may refer to itself.
    if not isinstance(member, dict) or depth > 8:
        return
    declared = member.get("type")
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, list):
        yield from (each for each in declared if isinstance(each, str))
    else:
        allowed = member.get("enum", [member["const"]] if "const" in member else [])
        yield from (_TYPES.get(type(each), "null") for each in allowed if isinstance(allowed, list))
    for word in ("anyOf", "oneOf", "allOf"):
        branches = member.get(word)
        for branch in branches if isinstance(branches, list) else []:
            yield from _types(branch, root, depth + 1)
    reference = member.get("$ref")
    if isinstance(reference, str):
        yield from _types(_resolved(reference, root), root, depth + 1)


def _resolved(reference: str, root: Schema) -> Any:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found
