"""The errors a client can see.

    XylemError
    ├── InvalidRequest        400  the request can't be understood or supported; `param` names the field
    │   └── ContextTooLong    400  prompt, or prompt and max_tokens, exceed what the model or its memory holds
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404  no such model, path or object
    ├── MethodNotAllowed      405
    ├── RequestTimeout        408  the client did not send all of its request in time
    ├── PayloadTooLarge       413  both sizes are in the message
    ├── UriTooLong            414
    ├── UnsupportedCoding     415  the body is compressed in a way that is not known here
    ├── HeadTooLarge          431
    ├── QueueFull             429  `retry_after_s` says when to come again
    ├── Internal              500  ours; the details are in the log, not in the answer
    │   └── ModelFailure      500  the model gave no number for this request
    ├── Unavailable           503  nothing alive that could serve it
    └── DeadlineExceeded      504  it took longer than the client or the settings allow

A stage that is not the gateway says them as `Refused` messages: `refusal` on one side, `from_code` on the other.
"""

from typing import ClassVar

from xylem.shared.protocol import Refused


class XylemError(Exception):
    """Base of all errors with an HTTP status. `code` is stable and machine-readable."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class InvalidRequest(XylemError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class ContextTooLong(InvalidRequest):
    code = "context_length_exceeded"


class Unauthorized(XylemError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(XylemError):
    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(XylemError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(XylemError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class RequestTimeout(XylemError):
    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class PayloadTooLarge(XylemError):
    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"


class UriTooLong(XylemError):
    status = 414
    type = "invalid_request_error"
    code = "uri_too_long"


class UnsupportedCoding(XylemError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_content_encoding"


class HeadTooLarge(XylemError):
    status = 431
    type = "invalid_request_error"
    code = "head_too_large"


class QueueFull(XylemError):
    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class Internal(XylemError):
    pass


class ModelFailure(Internal):
    code = "model_failure"


class Unavailable(XylemError):
    status = 503
    type = "service_unavailable_error"
    code = "unavailable"


class DeadlineExceeded(XylemError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


_BY_CODE: dict[str, type[XylemError]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        ContextTooLong,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        PayloadTooLarge,
        UriTooLong,
        UnsupportedCoding,
        HeadTooLarge,
        QueueFull,
        Internal,
        ModelFailure,
        Unavailable,
        DeadlineExceeded,
    )
}


def from_code(code: str, message: str, param: str | None = None, retry_after_s: float = 0.0) -> XylemError:
    """The error that a `code` on the bus stands for; an unknown one (a newer peer's) is Internal."""
    return _BY_CODE.get(code, Internal)(message, param=param, retry_after_s=retry_after_s)


def refusal(error: XylemError, request_id: str, attempt: int) -> Refused:
    """The error as the message that ends a request."""
    return Refused(
        request_id=request_id,
        attempt=attempt,
        code=error.code,
        message=error.message,
        param=error.param,
        retry_after_s=error.retry_after_s,
    )
