"""JSON as it comes: where a value ends, and what a string says.

Strict JSON is not asked for, because the arguments of a call are the model's own text, which the client judges. What
counts is where a value ends: brackets and strings are followed exactly, and a character that JSON could have nowhere
outside of a string, or a closing bracket without its opening one, means that this is no value (any more).
"""

import re

from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Give, literal, peek, word

_STRING = re.compile(r'[^"\\]+')
_LITERAL = re.compile(r"[\w.+\-]+")
_BETWEEN = re.compile(r"[\w.+\-',:\s]+")
_CLOSING = {"{": "}", "[": "]"}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
# Stands for half of a surrogate pair, which could not be sent to anyone.
REPLACED = "\ufffd"


def json_value(sheet: Sheet, give: Give | None) -> Steps[None]:
    """Reads one value and gives it out as it comes, as it is; without `give` it stays held.

    Raises Broken at the first character that can't belong to it, which stays unread.
    """
    first = yield from peek(sheet)
    if first == '"':
        yield from _string(sheet, give)
    elif first in _CLOSING:
        yield from _nested(sheet, give)
    else:
        yield from word(sheet, _LITERAL)
        if give:
            give(sheet.take())


def _nested(sheet: Sheet, give: Give | None) -> Steps[None]:
    closing: list[str] = []
    while True:
        piece = yield _BETWEEN
        if piece in _CLOSING:
            closing.append(_CLOSING[piece])
        elif piece == closing[-1]:
            closing.pop()
        elif piece == '"':
            sheet.unread()
            yield from _string(sheet, give)
        elif not _BETWEEN.match(piece):
            sheet.unread()
            raise Broken
        if give:
            give(sheet.take())
        if not closing:
            return


def _string(sheet: Sheet, give: Give | None) -> Steps[None]:
    yield from literal(sheet, '"')
    piece = ""
    while piece != '"':
        piece = yield _STRING
        if piece == "\\":
            yield None
        if give:
            give(sheet.take())


def json_text(sheet: Sheet) -> Steps[str]:
    """What a string says. It stays held. Raises Broken."""
    parts: list[str] = []
    yield from unescaped(sheet, parts.append)
    return "".join(parts)


def unescaped(sheet: Sheet, give: Give) -> Steps[None]:
    """Reads a string and gives out what it says, as it comes; its own text stays held. Raises Broken."""
    yield from literal(sheet, '"')
    half = ""
    while True:
        piece = yield _STRING
        text = (yield from _escape(sheet)) if piece == "\\" else "" if piece == '"' else piece
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


def _escape(sheet: Sheet) -> Steps[str]:
    """What follows a backslash. A surrogate comes as it is."""
    char = yield None
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char != "u":
        sheet.unread()
        raise Broken
    digits = ""
    while len(digits) < 4:
        digits += yield None
        if digits[-1] not in _HEX:
            sheet.unread()
            raise Broken
    return chr(int(digits, 16))
