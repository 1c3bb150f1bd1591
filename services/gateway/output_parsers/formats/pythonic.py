"""Llama 3.2 and 4: the answer is a list of Python calls, [f(a=1), g(b="x")].

Other text is an answer, unless <|python_start|> announces a list in it, which <|python_end|> ends.
"""

from xylem.services.gateway.output_parsers.calls import bracketed, calls_in_text
from xylem.services.gateway.output_parsers.keyed import ObjectText
from xylem.services.gateway.output_parsers.python_value import python_value
from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, peek, word

OPENING = "<|python_start|>"
CLOSING = "<|python_end|>"


def pythonic(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    if (yield from peek(sheet)) == "[":
        try:
            yield from _list(sheet)
        except Broken:
            sheet.release()
    else:
        sheet.unread_all()
    yield from calls_in_text(sheet, _list, OPENING, [CLOSING])


def _list(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    yield from bracketed(sheet, _call)


def _call(sheet: Sheet) -> Steps[None]:
    """Reads a call, which begins with its first argument: f(1) and f(x) are Python, but no calls of a tool."""
    yield from blank(sheet)
    name = yield from word(sheet)
    yield from literal(sheet, "(")
    yield from blank(sheet)
    calls = sheet.calls
    members = ObjectText(sheet)
    while (yield from peek(sheet)) != ")":
        key = yield from word(sheet)
        yield from blank(sheet)
        yield from literal(sheet, "=")
        yield from blank(sheet)
        if sheet.calls == calls:
            sheet.begin(name)
        sheet.drop()
        members.key(key)
        yield from python_value(sheet)
        yield from blank(sheet)
        if (yield from peek(sheet)) != ")":
            yield from literal(sheet, ",")
            yield from blank(sheet)
    yield from literal(sheet, ")")
    if sheet.calls == calls:
        sheet.begin(name)
    members.end()
    sheet.end()
