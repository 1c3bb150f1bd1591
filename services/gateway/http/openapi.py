"""This module describes routes to /openapi.json: bodies from their classes, answers, the one shape of errors."""

from typing import Any

from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.json_types import JsonObject

ERROR_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def answers(description: str, error_schema: JsonObject = ERROR_SCHEMA) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route."""
    return {
        200: {"description": description},
        "default": {"description": "An error.", "content": {"application/json": {"schema": error_schema}}},
    }


def describe(body: type[Body], description: str, error_schema: JsonObject = ERROR_SCHEMA) -> dict[str, Any]:
    """Arguments of a route decorator for a JSON body with these fields."""
    content = {"required": True, "content": {"application/json": {"schema": body.schema()}}}
    return {"openapi_extra": {"requestBody": content}, "responses": answers(description, error_schema)}
