"""Mistral: [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...], and since 2025 [TOOL_CALLS]name[ARGS]{...}."""

from xylem.services.gateway.output_parsers.calls import CallForm, bracketed
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_arguments, json_call
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, either, literal, peek, word

OPENING = "[TOOL_CALLS]"
ID = "[CALL_ID]"
ARGUMENTS = "[ARGS]"
_AFTER_NAME = Markers([ID, ARGUMENTS])


def _either_form(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    if (yield from peek(buffer)) == "[":
        yield from bracketed(buffer, json_call)
    else:
        yield from _named(buffer)


def _named(buffer: ParserBuffer) -> Steps[None]:
    name = yield from word(buffer)
    yield from blank(buffer)
    # Some versions leave the marker out, and some have the call's id in front of it.
    if (yield from peek(buffer)) != "{":
        found = yield from either(buffer, _AFTER_NAME)
        if found == ID:
            yield from word(buffer)
            yield from literal(buffer, ARGUMENTS)
    buffer.begin(name)
    yield from blank(buffer)
    yield from json_arguments(buffer)
    buffer.end()


MISTRAL = CallForm(OPENING, _either_form)
