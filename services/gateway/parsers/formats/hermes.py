"""Hermes, Qwen 2.5 and 3, the demonstration model: <tool_call>{"name": ..., "arguments": {...}}</tool_call>."""

from services.gateway.parsers.calls import calls_in_text
from services.gateway.parsers.json_call import json_call
from services.gateway.parsers.sheet import Sheet
from services.gateway.parsers.stepped import Steps

OPENING = "<tool_call>"
CLOSING = "</tool_call>"


def hermes(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, json_call, OPENING, [CLOSING])
