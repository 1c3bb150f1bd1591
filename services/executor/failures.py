"""Failures that end one sequence and leave all others running."""


class SequenceFailed(Exception):
    """A sequence can't begin or go on; the message is for the client.

    param: the field of the request to blame, if any. code: an error code of the API: "invalid_request" when the request
    is to blame, "unavailable" or "internal_error" when the machine is.
    """

    def __init__(self, message: str, *, param: str = "", code: str = "invalid_request") -> None:
        super().__init__(message)
        self.param = param
        self.code = code
