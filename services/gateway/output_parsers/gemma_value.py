"""Values as Gemma writes them, turned into JSON as they come: names without quotes, texts in quotes that are tokens."""

import re

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_value import json_value
from xylem.services.gateway.output_parsers.key_value_arguments import inside, json_of, typed
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, comma, literal, peek, until, word

QUOTE = '<|"|>'
_QUOTES = Markers([QUOTE])
_NAME = re.compile(r'[^\s:,{}\[\]"<]+')
_SCALAR = re.compile(r'[^,{}\[\]"<]+')
# Deeper values are no arguments of a tool, and would have no end on Python's own stack.
_DEEPEST = 40


def gemma_object(buffer: ParserBuffer, depth: int = 0) -> Steps[None]:
    """Reads an object and gives it out as arguments. Raises ParseError at the first character that can't be its."""
    yield from literal(buffer, "{")
    _give(buffer, "{")
    yield from blank(buffer)
    while (first := (yield from peek(buffer))) != "}":
        if first == QUOTE[0]:
            yield from _text(buffer)
        else:
            name = yield from word(buffer, _NAME)
            _give(buffer, json_of(name))
        yield from blank(buffer)
        yield from literal(buffer, ":")
        yield from blank(buffer)
        _give(buffer, ": ")
        yield from _value(buffer, depth + 1)
        yield from comma(buffer, "}")
    yield from literal(buffer, "}")
    _give(buffer, "}")


def _value(buffer: ParserBuffer, depth: int) -> Steps[None]:
    if depth > _DEEPEST:
        raise ParseError
    match (yield from peek(buffer)):
        case "{":
            yield from gemma_object(buffer, depth)
        case "[":
            yield from _list(buffer, depth)
        case "<":
            yield from _text(buffer)
        case '"':
            buffer.drop()
            yield from json_value(buffer, buffer.arguments)
        case _:
            text = yield from word(buffer, _SCALAR)
            _give(buffer, typed(text.strip(), frozenset()))


def _list(buffer: ParserBuffer, depth: int) -> Steps[None]:
    yield from literal(buffer, "[")
    _give(buffer, "[")
    yield from blank(buffer)
    while (yield from peek(buffer)) != "]":
        yield from _value(buffer, depth + 1)
        yield from comma(buffer, "]")
    yield from literal(buffer, "]")
    _give(buffer, "]")


def _text(buffer: ParserBuffer) -> Steps[None]:
    yield from literal(buffer, QUOTE)
    _give(buffer, '"')
    yield from until(buffer, _QUOTES, lambda text: buffer.arguments(inside(text)))
    buffer.arguments(inside(buffer.take().removesuffix(QUOTE)) + '"')


def _give(buffer: ParserBuffer, text: str) -> None:
    buffer.drop()
    buffer.arguments(text)
