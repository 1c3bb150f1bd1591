"""Kimi K2: a section of calls, each named functions.NAME:NUMBER.

<|tool_calls_section_begin|><|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{...}<|tool_call_end|>...
<|tool_calls_section_end|>
"""

import re

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, word

SECTION = "<|tool_calls_section_begin|>"
OPENING = "<|tool_call_begin|>"
ARGUMENTS = "<|tool_call_argument_begin|>"
CLOSING = "<|tool_call_end|>"
SECTION_END = "<|tool_calls_section_end|>"
PREFIX = "functions."
_NUMBER = re.compile(r":\d+$")


def _call(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    title = yield from word(buffer)
    yield from blank(buffer)
    yield from literal(buffer, ARGUMENTS)
    buffer.begin(_NUMBER.sub("", title.removeprefix(PREFIX)))
    yield from blank(buffer)
    yield from json_arguments(buffer)
    buffer.end()


KIMI_K2 = CallForm(OPENING, _call, (SECTION, CLOSING, SECTION_END))
