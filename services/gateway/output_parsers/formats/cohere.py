"""Cohere's Command A and R: a list of calls as JSON objects between two markers.

<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "name", "parameters": {...}}, ...]<|END_ACTION|>, and an answer
stands between <|START_RESPONSE|> and <|END_RESPONSE|>.
"""

from xylem.services.gateway.output_parsers.calls import CallForm, bracketed
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_call
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank

OPENING = "<|START_ACTION|>"
CLOSING = "<|END_ACTION|>"
NAME = "tool_name"
ANSWER = ("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>")


def _list(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    yield from bracketed(buffer, lambda buffer: json_call(buffer, name_key=NAME))


COHERE = CallForm(OPENING, _list, (CLOSING,))
