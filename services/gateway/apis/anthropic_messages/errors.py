"""Errors as Anthropic's clients know them: {"type": "error", "error": {"type", "message"}}."""

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.shared.runtime.errors import XylemError

PATH = "/v1/messages"

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}

# Conversations that the server holds. The package's tool runner asks for one unless it is told not to; when it reads
# this it sends the whole conversation instead.
NO_THREADS: JsonObject = {"error_code": "thread_unsupported_request"}


def problem(error: XylemError) -> JsonObject:
    """The body of an error."""
    return {"type": "error", "error": problem_details(error)}


def problem_details(error: XylemError) -> JsonObject:
    """Returns what the body and the event of an error say of it."""
    kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    told: JsonObject = {"type": kind, "message": error.message}
    if error.param == "thread":
        told["details"] = NO_THREADS
    return told
