"""Kimi K2: a section of calls, each named functions.NAME:NUMBER.

<|tool_calls_section_begin|><|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{...}<|tool_call_end|>...
<|tool_calls_section_end|>
"""

import re

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, word

SECTION = "<|tool_calls_section_begin|>"
OPENING = "<|tool_call_begin|>"
ARGUMENTS = "<|tool_call_argument_begin|>"
CLOSING = "<|tool_call_end|>"
SECTION_END = "<|tool_calls_section_end|>"
PREFIX = "functions."
_NUMBER = re.compile(r":\d+$")


def kimi_k2(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, _call, OPENING, [SECTION, CLOSING, SECTION_END])


def _call(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    title = yield from word(sheet)
    yield from blank(sheet)
    yield from literal(sheet, ARGUMENTS)
    sheet.begin(_NUMBER.sub("", title.removeprefix(PREFIX)))
    yield from blank(sheet)
    yield from json_arguments(sheet)
    sheet.end()
