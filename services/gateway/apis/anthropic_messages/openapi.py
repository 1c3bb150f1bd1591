"""This module describes paths whose errors have Anthropic's shape to /openapi.json."""

from typing import Any

from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.http.openapi import describe

ERROR_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            "required": ["type", "message"],
        },
    },
    "required": ["type", "error"],
}


def describe_message(body: type[Body], description: str) -> dict[str, Any]:
    """Does what `describe` does for a route under /v1/messages."""
    return describe(body, description, ERROR_SCHEMA)
