"""Values as Python writes them, turned into JSON as they come."""

import ast
import json
import re

from xylem.services.gateway.output_parsers.json_value import REPLACED, paired
from xylem.services.gateway.output_parsers.keyed import inside, json_of
from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, peek, word

_LITERAL = re.compile(r"[\w.+\-]+")
_TEXT = {quote: re.compile(rf"[^\\{quote}]+") for quote in "'\""}
_CLOSING = {"[": "]", "(": ")"}
_WORDS = {"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0", "/": "/", "\n": ""}
_DIGITS = {"x": 2, "u": 4, "U": 8}
# Deeper values are no arguments of a tool, and would have no end on Python's own stack.
_DEEPEST = 40


def python_value(sheet: Sheet, depth: int = 0) -> Steps[None]:
    """Reads a value and gives it out as arguments. Raises Broken at the first character that can't belong to it."""
    if depth > _DEEPEST:
        raise Broken
    first = yield from peek(sheet)
    if first in _TEXT:
        yield from _string(sheet)
    elif first in _CLOSING:
        yield from _list(sheet, _CLOSING[first], depth)
    elif first == "{":
        yield from _dict(sheet, depth)
    else:
        text = yield from word(sheet, _LITERAL)
        sheet.drop()
        sheet.arguments(_scalar(text))


def _scalar(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.dumps(ast.literal_eval(text), allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return json_of(text)


def _list(sheet: Sheet, closing: str, depth: int) -> Steps[None]:
    yield None
    sheet.drop()
    sheet.arguments("[")
    yield from blank(sheet)
    while (yield from peek(sheet)) != closing:
        yield from python_value(sheet, depth + 1)
        yield from _comma(sheet, closing)
    yield None
    sheet.drop()
    sheet.arguments("]")


def _dict(sheet: Sheet, depth: int) -> Steps[None]:
    yield from literal(sheet, "{")
    sheet.drop()
    sheet.arguments("{")
    yield from blank(sheet)
    while (first := (yield from peek(sheet))) != "}":
        if first in _TEXT:
            yield from _string(sheet)
        else:
            key = yield from word(sheet, _LITERAL)
            sheet.drop()
            sheet.arguments(json_of(key))
        yield from blank(sheet)
        yield from literal(sheet, ":")
        yield from blank(sheet)
        sheet.drop()
        sheet.arguments(": ")
        yield from python_value(sheet, depth + 1)
        yield from _comma(sheet, "}")
    yield from literal(sheet, "}")
    sheet.drop()
    sheet.arguments("}")


def _comma(sheet: Sheet, closing: str) -> Steps[None]:
    """What stands between two members; nothing has to stand after the last one, though Python allows a comma."""
    yield from blank(sheet)
    if (yield from peek(sheet)) == closing:
        return
    yield from literal(sheet, ",")
    yield from blank(sheet)
    sheet.drop()
    if (yield from peek(sheet)) != closing:
        sheet.arguments(", ")


def _string(sheet: Sheet) -> Steps[None]:
    quote = yield None
    sheet.drop()
    sheet.arguments('"')
    half = ""
    while (piece := (yield _TEXT[quote])) != quote:
        text, half = paired(half + ((yield from _escape(sheet)) if piece == "\\" else piece))
        sheet.drop()
        sheet.arguments(inside(text))
    sheet.drop()
    sheet.arguments((half and REPLACED) + '"')


def _escape(sheet: Sheet) -> Steps[str]:
    """What follows a backslash. Python leaves one that means nothing where it is."""
    char = yield None
    if char not in _DIGITS:
        return _ESCAPES.get(char, char if char in "\\'\"" else "\\" + char)
    digits = ""
    while len(digits) < _DIGITS[char]:
        digits += yield None
    try:
        return chr(int(digits, 16))
    except (ValueError, OverflowError):
        return f"\\{char}{digits}"
