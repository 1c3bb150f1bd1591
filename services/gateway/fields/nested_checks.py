"""Checks of nested values of a request body that name the place, such as `input[2].content[0].text`."""

from collections.abc import Collection
from typing import TypeGuard

from xylem.services.gateway.fields.asks_nothing import asks_nothing
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.runtime.errors import InvalidRequest


def mapping(where: str, value: Json, expected: str = "an object") -> JsonObject:
    """Raises InvalidRequest unless `value` is an object; so do the others for their types."""
    if type(value) is not dict:
        raise wrong(where, expected, value)
    return value


def text(where: str, value: Json) -> str:
    if type(value) is not str:
        raise wrong(where, "a string", value)
    return value


def sequence(where: str, value: Json, expected: str = "a list") -> list[Json]:
    if type(value) is not list:
        raise wrong(where, expected, value)
    return value


def one_of(where: str, value: Json, known: Collection[str]) -> str:
    if type(value) is not str or value not in known:
        raise wrong(where, f"one of {', '.join(known)}", value)
    return value


def only_keys(where: str, value: JsonObject, known: Collection[str]) -> None:
    """Raises InvalidRequest for the first key that is none of these and whose value asks for something."""
    for key, inner in value.items():
        if key not in known and not asks_nothing(inner):
            raise InvalidRequest(f"{where}.{key[:80]} is not supported", param=f"{where}.{key[:80]}")


def is_strings(value: Json) -> TypeGuard[list[str]]:
    """Tells whether `value` is a list of strings."""
    return type(value) is list and all(type(item) is str for item in value)
