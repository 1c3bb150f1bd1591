"""JSON as it comes: where a value ends, and what a string says.

Strict JSON is not asked for, because the arguments of a call are the model's own text, which the client judges. What
counts is where a value ends: brackets and strings are followed exactly, and a character that JSON could have nowhere
outside of a string, or a closing bracket without its opening one, means that this is no value (any more).
"""

import re

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Give, literal, peek, word

_STRING = re.compile(r'[^"\\]+')
_LITERAL = re.compile(r"[\w.+\-]+")
_BETWEEN = re.compile(r"[\w.+\-',:\s]+")
_CLOSING = {"{": "}", "[": "]"}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
# Stands for half of a surrogate pair, which could not be sent to anyone.
REPLACED = "\ufffd"


def json_value(buffer: ParserBuffer, give: Give | None) -> Steps[None]:
    """Reads one value and gives it out as it comes, as it is; without `give` it stays held.

    Raises ParseError at the first character that can't belong to it, which stays unread.
    """
    first = yield from peek(buffer)
    if first == '"':
        yield from _string(buffer, give)
    elif first in _CLOSING:
        yield from _nested(buffer, give)
    else:
        yield from word(buffer, _LITERAL)
        if give:
            give(buffer.take())


def _nested(buffer: ParserBuffer, give: Give | None) -> Steps[None]:
    closing: list[str] = []
    while True:
        piece = yield _BETWEEN
        if piece in _CLOSING:
            closing.append(_CLOSING[piece])
        elif piece == closing[-1]:
            closing.pop()
        elif piece == '"':
            buffer.unread()
            yield from _string(buffer, give)
        elif not _BETWEEN.match(piece):
            buffer.unread()
            raise ParseError
        if give:
            give(buffer.take())
        if not closing:
            return


def _string(buffer: ParserBuffer, give: Give | None) -> Steps[None]:
    yield from literal(buffer, '"')
    piece = ""
    while piece != '"':
        piece = yield _STRING
        if piece == "\\":
            yield None
        if give:
            give(buffer.take())


def json_text(buffer: ParserBuffer) -> Steps[str]:
    """Returns what a string says. It stays held. Raises ParseError."""
    parts: list[str] = []
    yield from unescaped(buffer, parts.append)
    return "".join(parts)


def unescaped(buffer: ParserBuffer, give: Give) -> Steps[None]:
    """Reads a string and gives out what it says, as it comes; its own text stays held. Raises ParseError."""
    yield from literal(buffer, '"')
    half = ""
    while True:
        piece = yield _STRING
        text = (yield from _escape(buffer)) if piece == "\\" else "" if piece == '"' else piece
        text, half = paired(half + text)
        if piece == '"':
            text += half and REPLACED
        give(text)
        if piece == '"':
            return


def paired(text: str) -> tuple[str, str]:
    """The text with its surrogates put together, and a first half at its end that still waits for the second one."""
    half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
    return text.removesuffix(half).encode("utf-16", "surrogatepass").decode("utf-16", "replace"), half


def _escape(buffer: ParserBuffer) -> Steps[str]:
    """Returns what an escape stands for. A surrogate comes as it is."""
    char = yield None
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char != "u":
        buffer.unread()
        raise ParseError
    digits = ""
    while len(digits) < 4:
        digits += yield None
        if digits[-1] not in _HEX:
            buffer.unread()
            raise ParseError
    return chr(int(digits, 16))
