"""Values that chat templates use in more than one way: each of these is right for all of the ways that are known."""

import json
from typing import Any


class ArgumentsObject(dict[str, Any]):
    """The arguments of a call. Most templates write the object as JSON; DeepSeek's and others add it to a string."""

    def __init__(self, given: Any) -> None:
        """given: as a client sent it, JSON in a string or a value. What is no object stands for no arguments."""
        value, text = given, ""
        if isinstance(given, str):
            text = given.strip()
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict):
            value, text = {}, "{}"
        super().__init__(value)
        self._text = text or json.dumps(value, ensure_ascii=False)

    def __str__(self) -> str:
        return self._text

    def __add__(self, other: str) -> str:
        return self._text + other

    def __radd__(self, other: str) -> str:
        return other + self._text


class AbsentContent(str):
    """The content of a message that only calls tools: none, for templates that ask, and empty for those that print it.

    The environment's test `none` knows it, too (template_language.py).
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other is None or other == ""

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
