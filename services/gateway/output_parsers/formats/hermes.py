"""Hermes, Qwen 2.5 and 3, the demonstration model: <tool_call>{"name": ..., "arguments": {...}}</tool_call>."""

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.json_call import json_call
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps

OPENING = "<tool_call>"
CLOSING = "</tool_call>"


def hermes(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, json_call, OPENING, [CLOSING])
