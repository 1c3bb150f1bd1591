"""Hermes, Qwen 2.5 and 3, the demonstration model: <tool_call>{"name": ..., "arguments": {...}}</tool_call>."""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.json_call import json_call

OPENING = "<tool_call>"
CLOSING = "</tool_call>"

HERMES = CallForm(OPENING, json_call, (CLOSING,))
