"""Values as Python writes them, turned into JSON as they come."""

import ast
import json
import re

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_value import REPLACED, paired
from xylem.services.gateway.output_parsers.key_value_arguments import inside, json_of
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, comma, literal, peek, word

_LITERAL = re.compile(r"[\w.+\-]+")
_TEXT = {quote: re.compile(rf"[^\\{quote}]+") for quote in "'\""}
_CLOSING = {"[": "]", "(": ")"}
_WORDS = {"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0", "/": "/", "\n": ""}
_DIGITS = {"x": 2, "u": 4, "U": 8}
# Deeper values are no arguments of a tool, and would have no end on Python's own stack.
_DEEPEST = 40


def python_value(buffer: ParserBuffer, depth: int = 0) -> Steps[None]:
    """Reads a value and gives it out as arguments. Raises ParseError at the first character that can't belong to it."""
    if depth > _DEEPEST:
        raise ParseError
    first = yield from peek(buffer)
    if first in _TEXT:
        yield from _string(buffer)
    elif first in _CLOSING:
        yield from _list(buffer, _CLOSING[first], depth)
    elif first == "{":
        yield from _dict(buffer, depth)
    else:
        text = yield from word(buffer, _LITERAL)
        buffer.drop()
        buffer.arguments(_scalar(text))


def _scalar(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.dumps(ast.literal_eval(text), allow_nan=False)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return json_of(text)


def _list(buffer: ParserBuffer, closing: str, depth: int) -> Steps[None]:
    yield None
    buffer.drop()
    buffer.arguments("[")
    yield from blank(buffer)
    while (yield from peek(buffer)) != closing:
        yield from python_value(buffer, depth + 1)
        yield from comma(buffer, closing)
    yield None
    buffer.drop()
    buffer.arguments("]")


def _dict(buffer: ParserBuffer, depth: int) -> Steps[None]:
    yield from literal(buffer, "{")
    buffer.drop()
    buffer.arguments("{")
    yield from blank(buffer)
    while (first := (yield from peek(buffer))) != "}":
        if first in _TEXT:
            yield from _string(buffer)
        else:
            key = yield from word(buffer, _LITERAL)
            buffer.drop()
            buffer.arguments(json_of(key))
        yield from blank(buffer)
        yield from literal(buffer, ":")
        yield from blank(buffer)
        buffer.drop()
        buffer.arguments(": ")
        yield from python_value(buffer, depth + 1)
        yield from comma(buffer, "}")
    yield from literal(buffer, "}")
    buffer.drop()
    buffer.arguments("}")


def _string(buffer: ParserBuffer) -> Steps[None]:
    quote = yield None
    buffer.drop()
    buffer.arguments('"')
    half = ""
    while (piece := (yield _TEXT[quote])) != quote:
        text, half = paired(half + ((yield from _escape(buffer)) if piece == "\\" else piece))
        buffer.drop()
        buffer.arguments(inside(text))
    buffer.drop()
    buffer.arguments((half and REPLACED) + '"')


def _escape(buffer: ParserBuffer) -> Steps[str]:
    """Returns what an escape stands for. Python leaves one that means nothing where it is."""
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
