"""Errors of the chat pipeline in the words of another API, whose fields have other names."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from xylem.shared.runtime.errors import XylemError


class ErrorFieldNames:
    """Maps the fields of a chat body to their names in an API that is translated into it."""

    def __init__(self, rules: Sequence[tuple[str, str]]) -> None:
        """rules: regular expressions of chat names and what replaces them; each one is tried, in this order."""
        self._rules = [(re.compile(pattern), name) for pattern, name in rules]

    def translated(self, error: XylemError) -> XylemError:
        """The same error with the name that the client has used, in `param` and in the message."""
        if error.param is None:
            return error
        name = error.param
        for pattern, replacement in self._rules:
            name = pattern.sub(replacement, name)
        if name == error.param:
            return error
        message = re.sub(rf"(?<!\w){re.escape(error.param)}(?!\w)", lambda _: name, error.message)
        return type(error)(message, param=name, retry_after_s=error.retry_after_s)

    @contextmanager
    def spoken(self) -> Iterator[None]:
        """Errors that are raised inside come out translated."""
        try:
            yield
        except XylemError as error:
            raise self.translated(error) from None
