"""Gemma 4: <|tool_call>call:name{key:<|"|>text<|"|>,other:[1,2]}<tool_call|>, with quotes that are tokens."""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.gemma_value import gemma_object
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, peek, word

OPENING = "<|tool_call>"
CALL = "call:"
CLOSING = "<tool_call|>"


def _call(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    yield from literal(buffer, CALL)
    name = yield from word(buffer)
    yield from blank(buffer)
    if (yield from peek(buffer)) == "{":
        buffer.begin(name)
    yield from gemma_object(buffer)
    buffer.end()


GEMMA4 = CallForm(OPENING, _call, (CLOSING,))
