"""This module describes routes to /openapi.json: bodies from their classes, answers, the one shape of errors."""

from typing import Any

from xylem.services.gateway.fields.body import Body

ERROR_SCHEMA: dict[str, Any] = {
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


def answers(description: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route."""
    return {
        200: {"description": description},
        "default": {"description": "An error.", "content": {"application/json": {"schema": ERROR_SCHEMA}}},
    }


def describe(body: type[Body], description: str) -> dict[str, Any]:
    """Arguments of a route decorator for a JSON body with these fields."""
    content = {"required": True, "content": {"application/json": {"schema": body.schema()}}}
    return {"openapi_extra": {"requestBody": content}, "responses": answers(description)}
