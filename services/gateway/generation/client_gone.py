"""The exception that ends a generation whose client has left."""


class ClientGone(Exception):
    """The client has closed the connection; no answer can be sent any more."""

    def __init__(self) -> None:
        super().__init__("the client has left")
