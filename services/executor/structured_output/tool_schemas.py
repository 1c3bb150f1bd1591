"""Schemas of tools' arguments within a structural tag: what can't be promised of one fails no other.

A schema of a tool is marked with the tool's name. Where the tool is not strict, an argument whose schema no grammar
promises may be anything, as it may where calls are not forced; the other arguments keep their promises. Where it is,
the error names the tool and the place.
"""

from collections.abc import Callable, Iterator
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed

Check = Callable[[Any], None]

MARKS = ("tool", "strict")


def loosen_schemas(node: Any, check: Check) -> Any:
    """Returns a tag without the marks, and with schemas that can be promised. Raises GrammarFailed for a strict tool.

    check: raises GrammarFailed for a schema that can't be.
    """
    match node:
        case {"type": "json_schema", "json_schema": schema, "tool": tool, **more}:
            plain = {key: value for key, value in more.items() if key not in MARKS}
            made = _promised(schema, str(tool), check, is_strict=more.get("strict") is True)
            return {"type": "json_schema", "json_schema": made, **plain}
        case dict():
            return {key: loosen_schemas(value, check) for key, value in node.items()}
        case list():
            return [loosen_schemas(value, check) for value in node]
    return node


def _promised(schema: Any, tool: str, check: Check, *, is_strict: bool) -> Any:
    try:
        check(schema)
        return schema
    except GrammarFailed as failed:
        if is_strict:
            place, why = next(_failures(schema, schema, check, "parameters"), ("parameters", failed))
            raise GrammarFailed(f"tool {tool!r} is strict, but of {place}: {why}") from None
    if not _is_object(schema):
        return True
    properties = {name: _or_anything(inner, schema, check) for name, inner in _properties(schema).items()}
    loosened = {**schema, "properties": properties}
    plain = {"type": "object", "properties": properties, "required": schema.get("required", [])}
    if isinstance(schema.get("additionalProperties"), bool):
        plain["additionalProperties"] = schema["additionalProperties"]
    for candidate in (loosened, {**plain, **_definitions(schema)}, plain):
        try:
            check(candidate)
            return candidate
        except GrammarFailed:
            continue
    return {"type": "object"}


def _or_anything(inner: Any, root: dict[str, Any], check: Check) -> Any:
    try:
        check(_alone(inner, root))
        return inner
    except GrammarFailed:
        return True


def _failures(schema: Any, root: Any, check: Check, place: str) -> Iterator[tuple[str, GrammarFailed]]:
    """Yields the places that can't be promised, the innermost of each first."""
    for name, inner in _properties(schema).items():
        try:
            check(_alone(inner, root))
        except GrammarFailed as failed:
            yield from _failures(inner, root, check, f"{place}.properties.{name}")
            yield f"{place}.properties.{name}", failed


def _alone(inner: Any, root: Any) -> Any:
    """The schema of a property, with the definitions that it may refer to."""
    return {**_definitions(root), **inner} if isinstance(inner, dict) else inner


def _definitions(schema: Any) -> dict[str, Any]:
    known = ("$schema", "$defs", "definitions")
    return {key: schema[key] for key in known if key in schema} if isinstance(schema, dict) else {}


def _is_object(schema: Any) -> bool:
    return isinstance(schema, dict) and (schema.get("type") == "object" or "properties" in schema)


def _properties(schema: Any) -> dict[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}
