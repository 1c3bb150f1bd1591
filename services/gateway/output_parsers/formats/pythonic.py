"""Llama 3.2 and 4: the answer is a list of Python calls, [f(a=1), g(b="x")].

Other text is an answer, unless <|python_start|> announces a list in it, which <|python_end|> ends.
"""

import re

from xylem.services.gateway.output_parsers.calls import CallForm, bracketed
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.key_value_arguments import ObjectText
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.python_value import python_value
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, peek, word

OPENING = "<|python_start|>"
CLOSING = "<|python_end|>"


def _list(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    yield from bracketed(buffer, _call)


def _call(buffer: ParserBuffer) -> Steps[None]:
    """Reads a call, which begins with its first argument: f(1) and f(x) are Python, but no calls of a tool."""
    yield from blank(buffer)
    name = yield from word(buffer)
    yield from literal(buffer, "(")
    yield from blank(buffer)
    calls = buffer.calls
    members = ObjectText(buffer)
    while (yield from peek(buffer)) != ")":
        key = yield from word(buffer)
        yield from blank(buffer)
        yield from literal(buffer, "=")
        yield from blank(buffer)
        if buffer.calls == calls:
            buffer.begin(name)
        buffer.drop()
        members.key(key)
        yield from python_value(buffer)
        yield from blank(buffer)
        if (yield from peek(buffer)) != ")":
            yield from literal(buffer, ",")
            yield from blank(buffer)
    yield from literal(buffer, ")")
    if buffer.calls == calls:
        buffer.begin(name)
    members.end_object()
    buffer.end()


# Up to the first argument's value.
_NAME = re.compile(r"^\s*\[\s*([\w.:/\-]+)(?:\(\s*\w*\s*=?\s*)?$")

PYTHONIC = CallForm(OPENING, _list, (CLOSING,), bare="[", bare_name=_NAME)
