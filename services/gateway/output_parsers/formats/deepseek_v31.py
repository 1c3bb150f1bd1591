"""DeepSeek V3.1: a section of calls, each with its name and its arguments only.

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>name<｜tool▁sep｜>{...}<｜tool▁call▁end｜>...<｜tool▁calls▁end｜>
"""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.formats.deepseek_v3 import CLOSING, OPENING, SECTION, SECTION_END, SEPARATOR
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, word


def _call(buffer: ParserBuffer) -> Steps[None]:
    name = yield from word(buffer)
    yield from literal(buffer, SEPARATOR)
    buffer.begin(name)
    yield from blank(buffer)
    yield from json_arguments(buffer)
    buffer.end()


DEEPSEEK_V31 = CallForm(OPENING, _call, (SECTION, CLOSING, SECTION_END))
