"""docs/api.md, made from the routes and their tables of fields: `python -m tools.api_docs > docs/api.md`.

A test makes it anew and compares, so that the page can't say anything else than the code.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from xylem.services.gateway.apis.operations import admin
from xylem.services.gateway.apis.routers import ROUTERS

INT32_MAX = 2**31 - 1

INTRODUCTION = """# Every endpoint and every field

Made by `python -m tools.api_docs > docs/api.md` from the tables that the gateway reads requests by; the same is
at `/openapi.json` in machine-readable form.

Bodies are JSON objects. Nothing is coerced, and null is the same as leaving a field out. An unknown field is an error
that names it, unless its value asks for nothing (null, false, 0, empty). Errors have one shape,
`{"error": {"message", "type", "param", "code"}}`, with a status of 400 to 504; 429 and 503
say in `retry-after` when to come again. With `stream` true the answer comes as server-sent events, and an error
that happens in the midst of it is the last event before `[DONE]`. Who may ask for what is told in
[security.md](security.md), what happens when something breaks in [reliability.md](reliability.md).
"""


def page() -> str:
    """The whole page."""
    routes = [route for router in (*ROUTERS, admin.router) for route in router.routes if isinstance(route, APIRoute)]
    shown = [route for route in routes if route.include_in_schema]
    sections = [_section(route, [other for other in routes if other.endpoint is route.endpoint]) for route in shown]
    return "\n".join([INTRODUCTION, *sections])


def _section(route: APIRoute, same: list[APIRoute]) -> str:
    others = [f"`{_title(other)}`" for other in same if other is not route]
    also = f" Also as {' and '.join(others)}." if others else ""
    lines = [f"## {_title(route)}", "", f"{route.summary}.{also}", ""]
    lines += [f"Answer: {_sentence(route.responses[200]['description'])}", ""]
    body = (route.openapi_extra or {}).get("requestBody")
    if body is not None:
        lines += _fields(body["content"]["application/json"]["schema"], "")
    return "\n".join(lines)


def _title(route: APIRoute) -> str:
    return f"{' or '.join(sorted(route.methods or ()))} {route.path_format}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _fields(schema: dict[str, Any], prefix: str) -> list[str]:
    """A table of an object's fields, what else may stand in it, and a table for each field that has fields itself."""
    rows, ignored, neutral, inner = [], [], [], []
    for name, field in schema["properties"].items():
        about = field.get("description", "")
        if about == "Accepted; changes nothing.":
            ignored.append(f"`{name}`")
        elif about == "Not supported yet.":
            neutral.append(f"`{name}` ({' or '.join(_json(value) for value in field['enum'] if value is not None)})")
        else:
            must = "**required**" if name in schema.get("required", ()) else _default(field)
            rows.append(f"| `{prefix}{name}` | {_kind(field)} | {must} | {about} |".replace("  |", " |"))
            inner += [(name, found) for found in _objects(field) if "properties" in found]
    neutral += [f"`{name}`" for name in schema.get("x-unsupported", ())]
    lines = ["| field | value | default | |", "|---|---|---|---|", *rows, ""]
    if ignored:
        lines += [f"Accepted, and changing nothing: {', '.join(ignored)}.", ""]
    if neutral:
        lines += [
            f"Not supported yet, and let through only as null or with what asks for nothing: {', '.join(neutral)}."
        ]
        lines += [""]
    for name, found in inner:
        lines += [f"Fields of `{prefix}{name}`:", "", *_fields(found, f"{prefix}{name}.")]
    return lines


def _objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first of the alternatives that is an object."""
    for alternative in schema.get("oneOf", [schema]):
        if alternative.get("type") == "object":
            yield alternative
            return


def _default(schema: dict[str, Any]) -> str:
    return f"`{_json(schema['default'])}`" if "default" in schema else ""


def _json(value: Any) -> str:
    return json.dumps(value)


def _kind(schema: dict[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "oneOf" in schema:
        return ", or ".join(_kind(alternative) for alternative in schema["oneOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    match kind:
        case "array":
            return f"list of {_plural(schema['items'])}" if schema.get("items") else "list"
        case "boolean":
            return "true or false"
        case "integer" | "number":
            return f"{kind}{_range(schema)}"
        case "object" if schema.get("additionalProperties"):
            return f"object of {_plural(schema['additionalProperties'])}"
    return str(kind)


def _plural(schema: dict[str, Any]) -> str:
    if "oneOf" in schema:
        return " or ".join(map(_plural, schema["oneOf"]))
    first, *rest = _kind(schema).split(" ")
    return " ".join([f"{first}s", *rest]) if schema.get("type") != "boolean" else "booleans"


def _range(schema: dict[str, Any]) -> str:
    above, low, high = schema.get("exclusiveMinimum"), schema.get("minimum"), schema.get("maximum")
    parts = [f"above {above:g}"] if above is not None else [f"from {low:g}"] if low is not None else []
    if high is not None and high != INT32_MAX:
        parts.append(f"up to {high:g}")
    return f" {' '.join(parts)}" if parts else ""


if __name__ == "__main__":
    sys.stdout.write(page())
