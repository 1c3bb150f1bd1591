"""Errors as OpenAI's clients know them: {"error": {"message", "type", "param", "code"}}, whatever has gone wrong.

An API whose clients know another shape registers it for its paths.
"""

import logging
import math
from collections.abc import Callable

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.generation.client_gone import ClientGone
from xylem.shared.runtime.errors import Internal, InvalidRequest, MethodNotAllowed, NotFound, XylemError

log = logging.getLogger(__name__)

CLIENT_GONE_STATUS = 499  # nobody reads it but the metrics

_encoder = msgspec.json.Encoder()


_bodies_by_path: dict[str, Callable[[XylemError], JsonObject]] = {}


def register_error_body(path: str, body_of: Callable[[XylemError], JsonObject]) -> None:
    """Makes `body_of` write the bodies of errors at this path and below it."""
    _bodies_by_path[path] = body_of


def _body(error: XylemError, path: str) -> JsonObject:
    for prefix, body_of in _bodies_by_path.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return body_of(error)
    return problem(error)


def problem(error: XylemError) -> JsonObject:
    """The body of an error."""
    return {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code},
    }


def problem_response(error: XylemError, path: str) -> Response:
    """Returns the error as the answer on this path. 429 and 503 say when to come again, 500 that it is of no use."""
    headers = {}
    if error.status in (429, 503):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == 500:
        headers["x-should-retry"] = "false"  # OpenAI's and Anthropic's packages would send it twice more
    return Response(_encoder.encode(_body(error, path)), error.status, headers, media_type="application/json")


async def _on_xylem_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, XylemError)
    return problem_response(error, request.url.path)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem_response(_of_framework(request, error), request.url.path)
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> list[str]:
    """Returns all methods of the path; the framework names those of its first route only."""
    path = request.scope["path"]
    routes = [route for route in request.app.state.routes if route.path_regex.match(path)]
    methods = {method for route in routes for method in route.methods}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _of_framework(request: Request, error: HTTPException) -> XylemError:
    path = request.url.path[:200]
    if error.status_code == 404:
        return NotFound(f"there is no path {path}")
    if error.status_code == 405:
        return MethodNotAllowed(f"{path} knows no method {request.method}")
    if error.status_code < 500:
        return InvalidRequest(str(error.detail))
    return Internal(str(error.detail))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = ".".join(map(str, first["loc"]))
    return problem_response(InvalidRequest(f"{param}: {first['msg']}", param=param), request.url.path)


async def _on_client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_GONE_STATUS)


async def _on_anything(request: Request, error: Exception) -> Response:
    # Starlette raises it once more after this answer, and the server logs it with its traceback.
    request_id = request.scope.get("xylem.request_id")
    log.error("%s %s (%s) failed: %s", request.method, request.url.path, request_id, type(error).__name__)
    return problem_response(Internal("internal error; the gateway's log says more"), request.url.path)


def install(app: FastAPI) -> None:
    """Makes all errors of the application look alike."""
    app.add_exception_handler(XylemError, _on_xylem_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ClientDisconnect, _on_client_gone)
    app.add_exception_handler(ClientGone, _on_client_gone)
    app.add_exception_handler(Exception, _on_anything)
