"""Mistral: [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...], and since 2025 [TOOL_CALLS]name[ARGS]{...}."""

from xylem.services.gateway.output_parsers.calls import bracketed, calls_in_text
from xylem.services.gateway.output_parsers.json_call import json_arguments, json_call
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, either, literal, peek, word

OPENING = "[TOOL_CALLS]"
ID = "[CALL_ID]"
ARGUMENTS = "[ARGS]"
_AFTER_NAME = Markers([ID, ARGUMENTS])


def mistral(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, _either_form, OPENING)


def _either_form(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    if (yield from peek(sheet)) == "[":
        yield from bracketed(sheet, json_call)
    else:
        yield from _named(sheet)


def _named(sheet: Sheet) -> Steps[None]:
    name = yield from word(sheet)
    yield from blank(sheet)
    # Some versions leave the marker out, and some have the call's id in front of it.
    if (yield from peek(sheet)) != "{":
        found = yield from either(sheet, _AFTER_NAME)
        if found == ID:
            yield from word(sheet)
            yield from literal(sheet, ARGUMENTS)
    sheet.begin(name)
    yield from blank(sheet)
    yield from json_arguments(sheet)
    sheet.end()
