"""Fields of a request body as rows of a table: name, kind of value, and what support there is for it.

A field that is to be supported from now on changes its row here and is read by `order.py`; nothing else knows the list.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import msgspec

from xylem.shared.runtime.errors import InvalidRequest

MAX_SHOWN = 60


class Support(Enum):
    """TAKEN: honoured. IGNORED: changes no answer. NEUTRAL: only values that change nothing are let through."""

    TAKEN = "taken"
    IGNORED = "ignored"
    NEUTRAL = "neutral"


class FieldType(Protocol):
    """What a value must be. Nothing is coerced: "7" is no integer, true no number."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the value."""

    def read(self, name: str, value: Any) -> Any:
        """The value, checked. Raises InvalidRequest naming the field."""


def wrong(name: str, expected: str, value: Any) -> InvalidRequest:
    """The error for a value that is not what was expected."""
    return InvalidRequest(f"{name} must be {expected}, not {_shown(value)}", param=name)


def _shown(value: Any) -> str:
    """Short, and cheap whatever a client has sent."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str) and len(value) > MAX_SHOWN:
        return f"a string of {len(value)} characters"
    if type(value) is int and value.bit_length() > 64:
        return "so large a number"
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


@dataclass(frozen=True)
class IntegerType:
    low: int
    high: int

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, name: str, value: Any) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise wrong(name, f"an integer from {self.low} to {self.high}", value)
        return value


@dataclass(frozen=True)
class AnyIntegerType:
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "integer"})

    def read(self, name: str, value: Any) -> int:
        if type(value) is not int:
            raise wrong(name, "an integer", value)
        return value


@dataclass(frozen=True)
class NumberType:
    low: float
    high: float
    above_low: bool = False  # low itself is out

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum" if self.above_low else "minimum": self.low, "maximum": self.high}

    def read(self, name: str, value: Any) -> float:
        inside = type(value) in (int, float) and self.low <= value <= self.high
        if not inside or (self.above_low and value == self.low):
            border = "above" if self.above_low else "from"
            raise wrong(name, f"a number {border} {self.low:g} and up to {self.high:g}", value)
        return float(value)


@dataclass(frozen=True)
class BooleanType:
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "boolean"})

    def read(self, name: str, value: Any) -> bool:
        if type(value) is not bool:
            raise wrong(name, "true or false", value)
        return value


@dataclass(frozen=True)
class TextType:
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})

    def read(self, name: str, value: Any) -> str:
        if type(value) is not str:
            raise wrong(name, "a string", value)
        return value


@dataclass(frozen=True)
class ObjectType:
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})

    def read(self, name: str, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise wrong(name, "an object", value)
        return value


@dataclass(frozen=True)
class AnyType:
    schema: dict[str, Any] = field(default_factory=dict)

    def read(self, name: str, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Field:
    """A row. `neutral`: the values, besides null, that a NEUTRAL field may have."""

    name: str
    kind: FieldType
    default: Any = None
    support: Support = Support.TAKEN
    neutral: tuple[Any, ...] = ()
    required: bool = False
    about: str = ""

    def read(self, value: Any) -> Any:
        """The checked value. Raises InvalidRequest."""
        if self.support is Support.NEUTRAL:
            # 0 and 0.0 are the same, but 0 and false are not.
            if any(value == ok and (type(value) is bool) == (type(ok) is bool) for ok in self.neutral):
                return value
            raise InvalidRequest(f"{self.name} is not supported yet{self._way_out()}", param=self.name)
        return self.kind.read(self.name, value)

    def _way_out(self) -> str:
        if not self.neutral:
            return "; leave it out"
        return f"; leave it out, or give {' or '.join(msgspec.json.encode(ok).decode() for ok in self.neutral)}"


def taken(name: str, kind: FieldType, default: Any = None, about: str = "") -> Field:
    """A field that is honoured; null and absent give the default."""
    return Field(name, kind, default, about=about)


def required(name: str, kind: FieldType, about: str = "") -> Field:
    """A field that must be there."""
    return Field(name, kind, required=True, about=about)


def ignored(*names: str) -> list[Field]:
    """Fields that clients send and that change no answer."""
    return [Field(name, AnyType(), support=Support.IGNORED) for name in names]


def only(name: str, *neutral: Any) -> Field:
    """A field that is not supported yet, with the values of it that ask for nothing."""
    return Field(name, AnyType(), support=Support.NEUTRAL, neutral=neutral)


class Table:
    """The fields of one request body."""

    def __init__(self, rows: Sequence[Field]) -> None:
        self.rows = {row.name: row for row in rows}
        assert len(self.rows) == len(rows), "a field has two rows"

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Every TAKEN field with its value or default. Raises InvalidRequest that names the first bad field."""
        values = {row.name: row.default for row in self.rows.values() if row.support is Support.TAKEN}
        for name, value in body.items():
            row = self.rows.get(name)
            if row is None:
                raise self._unknown(name)
            if value is None or row.support is Support.IGNORED:
                continue
            checked = row.read(value)
            if row.support is Support.TAKEN:
                values[name] = checked
        for row in self.rows.values():
            if row.required and values[row.name] is None:
                raise InvalidRequest(f"{row.name} is missing", param=row.name)
        return values

    def _unknown(self, name: str) -> InvalidRequest:
        near = difflib.get_close_matches(name, self.rows, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return InvalidRequest(f"unknown field {name[:80]}{hint}", param=name[:80])

    def schema(self) -> dict[str, Any]:
        """JSON schema of the body, for /openapi.json."""
        properties: dict[str, Any] = {}
        for row in self.rows.values():
            if row.support is Support.TAKEN:
                about = {"description": row.about} if row.about else {}
                default = (
                    {"default": row.default} if isinstance(row.default, int | float | str) and row.default != "" else {}
                )
                properties[row.name] = {**row.kind.schema, **about, **default}
            elif row.support is Support.IGNORED:
                properties[row.name] = {"description": "Accepted; changes nothing."}
            elif row.neutral:
                properties[row.name] = {"enum": [*row.neutral, None], "description": "Not supported yet."}
        rows = self.rows.values()
        unsupported = [row.name for row in rows if row.support is Support.NEUTRAL and not row.neutral]
        return {
            "type": "object",
            "properties": properties,
            **({"x-unsupported": unsupported} if unsupported else {}),
            "required": [row.name for row in self.rows.values() if row.required],
            "additionalProperties": False,
        }
