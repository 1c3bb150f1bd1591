"""Shapes: the values that a JSON schema allows, by type. A value must be of one shape of the list.

Schemas inside objects and arrays stay as they are; where several must hold they become an `allOf`.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.numbers import Bounds
from xylem.services.executor.structured_output.regexes import pattern_matches

Item = TypeVar("Item")
OPEN = Bounds()
Schema = Any
"""A JSON schema as json.loads gives it."""


def all_of(*schemas: Schema) -> Schema:
    """Returns a schema for the values that satisfy all of these."""
    needed = [schema for i, schema in enumerate(schemas) if schema not in (True, {}) and schema not in schemas[:i]]
    if any(schema is False for schema in needed):
        return False
    return needed[0] if len(needed) == 1 else {"allOf": needed} if needed else True


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Number:
    bounds: Bounds = OPEN
    multiple: Fraction | None = None  # 1 is an integer
    refused: tuple[Fraction, ...] = ()

    def intersect(self, other: "Number") -> "Number":
        a, b = self.multiple, other.multiple
        if a is None or b is None:
            multiple = a or b
        else:
            common = math.lcm(a.denominator, b.denominator)
            multiple = Fraction(math.lcm(int(a * common), int(b * common)), common)
        return Number(self.bounds.intersect(other.bounds), multiple, _both(self.refused, other.refused))


@dataclass(frozen=True, slots=True)
class String:
    least: int = 0
    most: int | None = None
    patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    refused_patterns: tuple[str, ...] = ()

    def intersect(self, other: "String") -> "String":
        return String(
            max(self.least, other.least),
            _lower(self.most, other.most),
            _both(self.patterns, other.patterns),
            _both(self.formats, other.formats),
            _both(self.refused, other.refused),
            _both(self.refused_patterns, other.refused_patterns),
        )


@dataclass(frozen=True, slots=True)
class Array:
    """rest None: not said, anything."""

    prefix: tuple[Schema, ...] = ()
    rest: Schema | None = None
    least: int = 0
    most: int | None = None
    contains: tuple[Schema, ...] = ()
    unique: bool = False

    def intersect(self, other: "Array") -> "Array":
        length = max(len(self.prefix), len(other.prefix))
        neither = self.rest is None and other.rest is None
        return Array(
            tuple(all_of(self.item(i), other.item(i)) for i in range(length)),
            None if neither else all_of(self.item(length), other.item(length)),
            max(self.least, other.least),
            _lower(self.most, other.most),
            self.contains + other.contains,
            self.unique or other.unique,
        )

    def item(self, index: int) -> Schema:
        if index < len(self.prefix):
            return self.prefix[index]
        return True if self.rest is None else self.rest


@dataclass(frozen=True, slots=True)
class Members:
    """One schema's `properties`, `patternProperties`, and `additionalProperties` for other names (None: not said)."""

    named: dict[str, Schema]
    patterns: dict[str, Schema]
    rest: Schema | None = None

    def schemas(self, name: str) -> list[Schema]:
        """Returns the schemas that the value of a member must satisfy."""
        out = [self.named[name]] if name in self.named else []
        out += [schema for pattern, schema in self.patterns.items() if pattern_matches(pattern, name)]
        if not out and self.rest is not None:
            out.append(self.rest)
        return out


@dataclass(frozen=True, slots=True)
class Object:
    members: tuple[Members, ...] = ()
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    names: tuple[Schema, ...] = ()

    def intersect(self, other: "Object") -> "Object":
        return Object(
            self.members + tuple(m for m in other.members if m not in self.members),
            tuple(dict.fromkeys(self.required + other.required)),
            max(self.least, other.least),
            _lower(self.most, other.most),
            self.names + other.names,
        )

    def member(self, name: str) -> Schema:
        return all_of(*(schema for members in self.members for schema in members.schemas(name)))


Shape = Literal | Number | String | Array | Object


def _both(some: tuple[Item, ...], others: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(some + others))


def _lower(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


TYPES: dict[str, tuple[Shape, ...]] = {
    "null": (Literal(None),),
    "boolean": (Literal(True), Literal(False)),
    "integer": (Number(multiple=Fraction(1)),),
    "number": (Number(),),
    "string": (String(),),
    "array": (Array(),),
    "object": (Object(),),
}
ANYTHING = [shape for name in ("string", "number", "object", "array", "boolean", "null") for shape in TYPES[name]]


def json_equal(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, and 1.0 is."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(json_equal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(json_equal, a, b))
    return bool(a == b)


def parse_count(value: Any, keyword: str) -> int:
    """Reads a keyword's count. Raises GrammarFailed when it is no integer from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
        raise GrammarFailed(f"the schema's {keyword} must be an integer from 0 on")
    return int(value)


def parse_fraction(value: Any, keyword: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GrammarFailed(f"the schema's {keyword} must be a number")
    if not math.isfinite(value):
        raise GrammarFailed(f"the schema's {keyword} is beyond the numbers that are supported")
    return Fraction(str(value))


__all__ = [
    "ANYTHING",
    "TYPES",
    "Array",
    "Literal",
    "Members",
    "Number",
    "Object",
    "Schema",
    "Shape",
    "String",
    "all_of",
    "json_equal",
    "parse_count",
    "parse_fraction",
    "replace",
]  # fmt: skip
