"""Negated JSON schemas: what `not`, `else` and the other branches of `oneOf` demand."""

from typing import Any, Protocol

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.keywords import NOT_PATTERN, NOT_VALUES, parse_object_of
from xylem.services.executor.structured_output.shapes import TYPES, Schema, json_equal, parse_count

MAX_DEPTH = 8


class Resolver(Protocol):
    """Finds the schemas that references point to."""

    def resolved(self, target: Any) -> Schema: ...


def negated(schemas: Resolver, schema: Schema, keyword: str = "not") -> Schema:
    """Returns a schema for values that another surely refuses, not for all of them. Raises GrammarFailed."""
    options = _refutations(schemas, schema, ())
    if not options:
        raise GrammarFailed(f"{keyword} is not supported with a schema such as {str(schema)[:100]}")
    return {"anyOf": options}


def _refutations(schemas: Resolver, schema: Schema, refs: tuple[str, ...]) -> list[Schema]:
    """Returns schemas each of which contradicts this one."""
    if isinstance(schema, bool):
        return [not schema]
    if not isinstance(schema, dict) or len(refs) > MAX_DEPTH:
        return []
    refs = (*refs, "")
    if "$ref" in schema:
        return (
            []
            if schema["$ref"] in refs
            else _refutations(schemas, schemas.resolved(schema["$ref"]), (*refs, schema["$ref"]))
        )
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds
    out: list[Schema] = []
    if names is not None:
        others = [n for n in TYPES if n not in names and n != "integer" and not (n == "number" and "integer" in names)]
        if others:
            out.append({"type": others})
    of = names or list(TYPES)
    if "object" in of:
        out += [{"type": "object", "properties": {name: False}} for name in schema.get("required", [])]
        out += [
            {"type": "object", "properties": {name: option}, "required": [name]}
            for name, inner in parse_object_of(schema, "properties").items()
            for option in _refutations(schemas, inner, refs)
            if option is not False
        ]
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")):
        kind = {"minLength": "string", "minItems": "array"}.get(low, "object")
        if kind in of and parse_count(schema.get(low, 0), low):
            out.append({"type": kind, high: parse_count(schema[low], low) - 1})
        if kind in of and high in schema:
            out.append({"type": kind, low: parse_count(schema[high], high) + 1})
    if "number" in of or "integer" in of:
        if "minimum" in schema and schema.get("exclusiveMinimum") is not True:
            out.append({"type": "number", "exclusiveMaximum": schema["minimum"]})
        if "maximum" in schema and schema.get("exclusiveMaximum") is not True:
            out.append({"type": "number", "exclusiveMinimum": schema["maximum"]})
        for exclusive, other in (("exclusiveMinimum", "maximum"), ("exclusiveMaximum", "minimum")):
            if exclusive in schema and not isinstance(schema[exclusive], bool):
                out.append({"type": "number", other: schema[exclusive]})
    if "string" in of and isinstance(schema.get("pattern"), str):
        out.append({"type": "string", NOT_PATTERN: schema["pattern"]})
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
    if values is not None:
        present = {_kind(value) for value in values}
        out.append({"type": [n for n in TYPES if n not in (*present, "integer", "boolean")]})
        out += [{"type": kind, NOT_VALUES: values} for kind in ("string", "number") if kind in present]
        out += [{"const": b} for b in (True, False) if not any(json_equal(b, v) for v in values)]
    if "anyOf" in schema:
        each = [_refutations(schemas, branch, refs) for branch in schema["anyOf"]]
        if all(each):
            out.append({"allOf": [{"anyOf": options} for options in each]})
    for branch in schema.get("allOf", []):
        out += _refutations(schemas, branch, refs)
    if "not" in schema:
        out.append(schema["not"])
    return out


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = {str: "string", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}
    return kinds[type(value)]
