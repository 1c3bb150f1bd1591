"""The keywords of a JSON schema that concern one type each, as the shape of that type."""

from fractions import Fraction
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.formats import FORMATS
from xylem.services.executor.structured_output.numbers import Bounds
from xylem.services.executor.structured_output.regexes import pattern_matches
from xylem.services.executor.structured_output.shapes import (
    Array,
    Members,
    Number,
    Object,
    String,
    parse_count,
    parse_fraction,
)

NOT_VALUES, NOT_PATTERN = "\0not values", "\0not pattern"
"""Keywords of negated schemas alone: a list of values, of which none may come, and a pattern that may not match."""
RANGES = {"int32": 2**31, "int64": 2**63}  # of OpenAPI's formats: the lowest is minus this


def parse_object_of(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword, {})
    if not isinstance(value, dict):
        raise GrammarFailed(f"the schema's {keyword} must be an object")
    return value


def parse_number(schema: dict[str, Any]) -> Number:
    bounds, multiple = Bounds(), None
    for name, other in (("inimum", "exclusiveMinimum"), ("aximum", "exclusiveMaximum")):
        is_low, plain, exclusive = name == "inimum", schema.get("m" + name), schema.get(other)
        for value, is_open in ((plain, exclusive is True), (exclusive, True)):
            if value is None or isinstance(value, bool):
                continue
            at = parse_fraction(value, other if is_open else "m" + name)
            more = Bounds(low=at, low_open=is_open) if is_low else Bounds(high=at, high_open=is_open)
            bounds = bounds.intersect(more)
    if "multipleOf" in schema:
        multiple = parse_fraction(schema["multipleOf"], "multipleOf")
        if multiple <= 0:
            raise GrammarFailed("the schema's multipleOf must be above 0")
    most = RANGES.get(str(schema.get("format")))
    if most is not None:
        bounds = bounds.intersect(Bounds(Fraction(-most), Fraction(most - 1)))
    refused = [parse_fraction(value, "enum") for value in schema.get(NOT_VALUES, ()) if _is_number(value)]
    return Number(bounds, multiple, tuple(refused))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_string(schema: dict[str, Any]) -> String:
    pattern, format_ = schema.get("pattern"), schema.get("format")
    if pattern is not None and not isinstance(pattern, str):
        raise GrammarFailed("the schema's pattern must be a string")
    return String(
        parse_count(schema.get("minLength", 0), "minLength"),
        parse_count(schema["maxLength"], "maxLength") if "maxLength" in schema else None,
        (pattern,) if pattern is not None else (),
        (format_,) if isinstance(format_, str) and format_ in FORMATS else (),
        tuple(value for value in schema.get(NOT_VALUES, ()) if isinstance(value, str)),
        (schema[NOT_PATTERN],) if NOT_PATTERN in schema else (),
    )


def parse_array(schema: dict[str, Any]) -> Array:
    items = schema.get("items")
    prefix = schema.get("prefixItems", ())
    if isinstance(items, list):  # up to draft 2019-09
        prefix, items = items, schema.get("additionalItems")
    if not isinstance(prefix, list | tuple):
        raise GrammarFailed("the schema's prefixItems must be a list")
    contains = ()
    if "contains" in schema:
        least = parse_count(schema.get("minContains", 1), "minContains")
        if least > 1:
            raise GrammarFailed("minContains above 1 is not supported in a schema")
        contains = (schema["contains"],) * least
    return Array(
        tuple(prefix),
        items,
        parse_count(schema.get("minItems", 0), "minItems"),
        parse_count(schema["maxItems"], "maxItems") if "maxItems" in schema else None,
        contains,
        schema.get("uniqueItems") is True,
    )


def parse_object(schema: dict[str, Any]) -> Object:
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise GrammarFailed("the schema's required must be a list of names")
    named, patterns = parse_object_of(schema, "properties"), parse_object_of(schema, "patternProperties")
    for pattern in patterns:
        pattern_matches(pattern, "")
    rest = schema.get("additionalProperties")
    return Object(
        (Members(named, patterns, rest),) if named or patterns or rest is not None else (),
        tuple(required),
        parse_count(schema.get("minProperties", 0), "minProperties"),
        parse_count(schema["maxProperties"], "maxProperties") if "maxProperties" in schema else None,
        (schema["propertyNames"],) if "propertyNames" in schema else (),
    )
