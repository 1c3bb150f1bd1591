"""A field of a request body: its name, the type of its value, and what support there is for it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar, cast, overload

import msgspec

from xylem.services.gateway.fields.asks_nothing import asks_nothing, is_empty
from xylem.services.gateway.fields.basic_types import AnyType
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.shared.runtime.errors import InvalidRequest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Support(Enum):
    """TAKEN: an attribute of the body. PASSED: checked, and used as it came, by the chat body that it goes into.

    IGNORED: changes no answer. NEUTRAL: only values that change nothing are let through.
    """

    TAKEN = "taken"
    PASSED = "passed"
    IGNORED = "ignored"
    NEUTRAL = "neutral"


class FieldType(Protocol[T_co]):
    """The type of a value: it checks a JSON value and turns it into a T."""

    @property
    def schema(self) -> JsonObject:
        """JSON schema of the value."""

    def read_value(self, name: str, value: Json) -> T_co:
        """Returns the checked value. Raises InvalidRequest naming the field."""


@dataclass(frozen=True)
class Field:
    """A row of a body's table. `neutral`: the values, besides null, that a NEUTRAL field may have.

    name: "" until the body's class is made, which names it. leads: it stands before the fields of the base class.
    """

    name: str
    kind: FieldType[object]
    default: object = None
    support: Support = Support.TAKEN
    neutral: tuple[Json, ...] = ()
    required: bool = False
    about: str = ""
    leads: bool = False

    def read_value(self, value: Json) -> object:
        """Returns the checked value. Raises InvalidRequest."""
        if self.support is Support.NEUTRAL:
            if self._is_neutral(value):
                return value
            raise InvalidRequest(f"{self.name} is not supported yet{self._way_out()}", param=self.name)
        return self.kind.read_value(self.name, value)

    def _is_neutral(self, value: Json) -> bool:
        """Whether the value asks for nothing: false and 0 do not where a neutral value is true or another number."""
        if is_empty(value):
            return True
        # 0 and 0.0 are the same, but 0 and false are not.
        if any(value == ok and (type(value) is bool) == (type(ok) is bool) for ok in self.neutral):
            return True
        return asks_nothing(value) and not any(ok for ok in self.neutral if isinstance(ok, int | float))

    def _way_out(self) -> str:
        if not self.neutral:
            return "; leave it out"
        return f"; leave it out, or give {' or '.join(msgspec.json.encode(ok).decode() for ok in self.neutral)}"

    def schema(self) -> JsonObject:
        """Returns the JSON schema of the value, with what the field is about and its default."""
        about: JsonObject = {"description": self.about} if self.about else {}
        shown = isinstance(self.default, int | float | str) and self.default != ""
        default: JsonObject = {"default": cast("Json", self.default)} if shown else {}
        return {**self.kind.schema, **about, **default}


@overload
def taken(kind: FieldType[T], default: None = None, about: str = "") -> T | None: ...
@overload
def taken(kind: FieldType[T], default: T, about: str = "") -> T: ...
def taken(kind: FieldType[T], default: T | None = None, about: str = "") -> T | None:
    """Declares a field that is honoured; null and absent give the default.

    What it gives to a type checker is the type of the attribute, so that its annotation has to agree with `kind`.
    """
    return cast("T", Field("", kind, default, about=about))


def required(kind: FieldType[T], about: str = "", *, leads: bool = False) -> T:
    """Declares a field that must be there. leads: it stands before the fields of the base class."""
    return cast("T", Field("", kind, required=True, about=about, leads=leads))


def passed(rows: Iterable[Field]) -> list[Field]:
    """Fields of the chat body under the same names, which go into it as they come."""
    return [replace(row, support=Support.PASSED) for row in rows]


def ignored(*names: str) -> list[Field]:
    """Fields that clients send and that change no answer."""
    return [Field(name, AnyType(), support=Support.IGNORED) for name in names]


def only(name: str, *neutral: Json) -> Field:
    """A field that is not supported yet, with the values of it that ask for nothing."""
    return Field(name, AnyType(), support=Support.NEUTRAL, neutral=neutral)
