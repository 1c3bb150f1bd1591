"""The error for a value of a body that is not what its field takes."""

from xylem.services.gateway.fields.json_types import Json
from xylem.shared.runtime.errors import InvalidRequest

MAX_SHOWN = 60


def wrong(name: str, expected: str, value: Json) -> InvalidRequest:
    """Builds the error that says what the field `name` must be and, shortly, what came instead."""
    return InvalidRequest(f"{name} must be {expected}, not {_shown(value)}", param=name)


def _shown(value: Json) -> str:
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
