"""DeepSeek V3 and R1: a section of calls, each with its kind, its name and a block of JSON.

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>name
```json
{...}
```<｜tool▁call▁end｜>...<｜tool▁calls▁end｜>
"""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, word

SECTION = "<｜tool▁calls▁begin｜>"
OPENING = "<｜tool▁call▁begin｜>"
KIND = "function"
SEPARATOR = "<｜tool▁sep｜>"
CLOSING = "<｜tool▁call▁end｜>"
SECTION_END = "<｜tool▁calls▁end｜>"
BLOCK = "```json"
BLOCK_END = "```"


def _call(buffer: ParserBuffer) -> Steps[None]:
    yield from literal(buffer, KIND + SEPARATOR)
    name = yield from word(buffer)
    yield from blank(buffer)
    yield from literal(buffer, BLOCK)
    buffer.begin(name)
    yield from blank(buffer)
    yield from json_arguments(buffer)
    buffer.end()
    yield from blank(buffer)
    yield from literal(buffer, BLOCK_END)
    buffer.drop()


DEEPSEEK_V3 = CallForm(OPENING, _call, (SECTION, CLOSING, SECTION_END))
