"""Reading nested objects of a request body: small checks that name the place, such as `input[2].content[0].text`."""

from collections.abc import Collection
from typing import Any

from xylem.services.gateway.fields.field import wrong
from xylem.shared.runtime.errors import InvalidRequest


def mapping(where: str, value: Any, expected: str = "an object") -> dict[str, Any]:
    """Raises InvalidRequest unless it is an object; so do the others for their kinds."""
    if type(value) is not dict:
        raise wrong(where, expected, value)
    return value


def text(where: str, value: Any) -> str:
    if type(value) is not str:
        raise wrong(where, "a string", value)
    return value


def sequence(where: str, value: Any, expected: str = "a list") -> list[Any]:
    if type(value) is not list:
        raise wrong(where, expected, value)
    return value


def one_of(where: str, value: Any, known: Collection[str]) -> str:
    if type(value) is not str or value not in known:
        raise wrong(where, f"one of {', '.join(known)}", value)
    return value


def only_keys(where: str, value: dict[str, Any], known: Collection[str]) -> None:
    """Raises InvalidRequest for the first key that is none of these; null asks for nothing."""
    for key, inner in value.items():
        if key not in known and inner is not None:
            raise InvalidRequest(f"{where}.{key[:80]} is not supported", param=f"{where}.{key[:80]}")
