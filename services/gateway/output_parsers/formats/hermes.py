"""Hermes, Qwen 2.5 and 3, the demonstration model: <tool_call>{"name": ..., "arguments": {...}}</tool_call>."""

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_call
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer

OPENING = "<tool_call>"
CLOSING = "</tool_call>"


def hermes(buffer: ParserBuffer) -> Steps[None]:
    yield from calls_in_text(buffer, json_call, OPENING, [CLOSING])
