"""Llama 3: the answer is {"name": ..., "parameters": {...}}, or several of them with a semicolon between.

Other text is an answer, unless <|python_tag|> announces calls in it.
"""

import re

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_call
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, peek

OPENING = "<|python_tag|>"
SEPARATOR = ";"


def _calls(buffer: ParserBuffer) -> Steps[None]:
    """Reads calls as long as they follow one another. Raises ParseError."""
    yield from blank(buffer)
    while True:
        yield from json_call(buffer)
        yield from blank(buffer)
        char = yield from peek(buffer)
        if char == SEPARATOR:
            yield from literal(buffer, SEPARATOR)
            yield from blank(buffer)
        elif char != "{":
            buffer.unread_all()
            return


LLAMA3_JSON = CallForm(OPENING, _calls, bare="{", bare_name=re.compile(r'"name"\s*:\s*"([^"]+)$'))
