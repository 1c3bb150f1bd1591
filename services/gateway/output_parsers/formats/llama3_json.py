"""Llama 3: the answer is {"name": ..., "parameters": {...}}, or several of them with a semicolon between.

Other text is an answer, unless <|python_tag|> announces calls in it.
"""

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.json_call import json_call
from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, peek

OPENING = "<|python_tag|>"
SEPARATOR = ";"


def llama3_json(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    if (yield from peek(sheet)) == "{":
        try:
            yield from _calls(sheet)
        except Broken:
            sheet.release()
    else:
        sheet.unread_all()
    yield from calls_in_text(sheet, _calls, OPENING)


def _calls(sheet: Sheet) -> Steps[None]:
    """Reads calls as long as they follow one another. Raises Broken."""
    yield from blank(sheet)
    while True:
        yield from json_call(sheet)
        yield from blank(sheet)
        char = yield from peek(sheet)
        if char == SEPARATOR:
            yield from literal(sheet, SEPARATOR)
            yield from blank(sheet)
        elif char != "{":
            sheet.unread_all()
            return
