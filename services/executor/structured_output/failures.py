"""What goes wrong with a grammar, in words for the client who sent it."""


class GrammarFailed(Exception):
    """A grammar can't be used.

    param: the field of the request that it came from. code: "invalid_request", or "unavailable" when the machine, not
    the grammar, is to blame.
    """

    def __init__(self, message: str, *, param: str = "", code: str = "invalid_request") -> None:
        super().__init__(message)
        self.param = param
        self.code = code
