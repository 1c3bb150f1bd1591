"""The types of values that may be given once, or as a list with one for each prompt of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import FieldType
from xylem.services.gateway.fields.field_types import Prompt, token_column
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import is_strings
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.protocol.columns import count
from xylem.shared.runtime.errors import InvalidRequest

MAX_ASKED = 1024

T = TypeVar("T")
B = TypeVar("B", bound=Body)


@contextmanager
def inside(where: str) -> Iterator[None]:
    """Has errors of what stands in the field `where` name it."""
    try:
        yield
    except InvalidRequest as error:
        raise type(error)(f"{where}: {error.message}", param=f"{where}.{error.param}") from None


@dataclass(frozen=True)
class PerItemType(Generic[T]):
    """One value, or a list of them. Reads to what was given."""

    kind: FieldType[T]

    @property
    def schema(self) -> JsonObject:
        return {"oneOf": [self.kind.schema, {"type": "array", "items": self.kind.schema}]}

    def read_value(self, name: str, value: Json) -> T | list[T]:
        if type(value) is list:
            return [self.kind.read_value(f"{name}[{i}]", item) for i, item in enumerate(value)]
        return self.kind.read_value(name, value)


@dataclass(frozen=True)
class BodyType(Generic[B]):
    """An object with fields of its own. Reads to (the body, the names that were given as null)."""

    body: type[B]

    @property
    def schema(self) -> JsonObject:
        return self.body.schema()

    def read_value(self, name: str, value: Json) -> tuple[B, frozenset[str]]:
        if type(value) is not dict:
            raise wrong(name, "an object", value)
        with inside(name):
            return self.body.read(value), frozenset(key for key in value if value[key] is None)


@dataclass(frozen=True)
class AskedIdsType:
    """Token ids, or a list of such lists. Reads to a column or a list of columns."""

    @property
    def schema(self) -> JsonObject:
        ids: JsonObject = {"type": "array", "items": {"type": "integer"}}
        return {"oneOf": [ids, {"type": "array", "items": ids}]}

    def read_value(self, name: str, value: Json) -> bytes | list[bytes]:
        if type(value) is list and any(type(item) is list for item in value):
            return [self._column(f"{name}[{i}]", item) for i, item in enumerate(value)]
        return self._column(name, value)

    def _column(self, name: str, value: Json) -> bytes:
        column = b"" if value is None else token_column(name, value)
        if count(column) > MAX_ASKED:
            raise InvalidRequest(f"{name} has {count(column)} ids; {MAX_ASKED} are allowed", param=name)
        return column


@dataclass(frozen=True)
class TextBatchType:
    """A string or a list of strings. Reads to (prompts, whether it is a list)."""

    @property
    def schema(self) -> JsonObject:
        return {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

    def read_value(self, name: str, value: Json) -> tuple[list[Prompt], bool]:
        if type(value) is str:
            return [value], False
        if not is_strings(value) or not value:
            raise wrong(name, "a string or a list of strings", value)
        return list(value), True


@dataclass(frozen=True)
class IdBatchType:
    """A list of token ids or a list of such lists. Reads to (columns, whether it is a list of lists)."""

    @property
    def schema(self) -> JsonObject:
        ids: JsonObject = {"type": "array", "items": {"type": "integer"}}
        return {"oneOf": [ids, {"type": "array", "items": ids}]}

    def read_value(self, name: str, value: Json) -> tuple[list[Prompt], bool]:
        if type(value) is not list or not value:
            raise wrong(name, "a list of token ids, or a list of such lists", value)
        if type(value[0]) is not list:
            return [token_column(name, value)], False
        columns: list[Prompt] = [token_column(f"{name}[{i}]", item) for i, item in enumerate(value)]
        if not all(columns):
            raise InvalidRequest(f"{name} holds an empty list of token ids", param=name)
        return columns, True
