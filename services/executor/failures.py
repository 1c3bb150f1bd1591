"""Failures that end one sequence and leave all others running."""

MODEL_FAILURE = "model_failure"


class SequenceFailed(Exception):
    """A sequence can't begin or go on; the message is for the client.

    param: the field of the request to blame, if any. code: an error code of the API: "invalid_request" when the request
    is to blame, "unavailable" or "internal_error" when the machine is, "model_failure" when the model is.
    """

    def __init__(self, message: str, *, param: str = "", code: str = "invalid_request") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def no_number() -> SequenceFailed:
    """Returns the failure of a sequence for which the model has computed NaN or infinity."""
    return SequenceFailed("the model gave no number (NaN or infinity) for this request", code=MODEL_FAILURE)


def as_failure(error: Exception) -> SequenceFailed:
    """Returns what the client is told of an exception in the work for its sequence; the log has the exception."""
    if isinstance(error, SequenceFailed):
        return error
    return SequenceFailed("the executor failed at this request", code="internal_error")
