"""DeepSeek V3 and R1: a section of calls, each with its kind, its name and a block of JSON.

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>name
```json
{...}
```<｜tool▁call▁end｜>...<｜tool▁calls▁end｜>
"""

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, word

SECTION = "<｜tool▁calls▁begin｜>"
OPENING = "<｜tool▁call▁begin｜>"
KIND = "function"
SEPARATOR = "<｜tool▁sep｜>"
CLOSING = "<｜tool▁call▁end｜>"
SECTION_END = "<｜tool▁calls▁end｜>"
BLOCK = "```json"
BLOCK_END = "```"


def deepseek_v3(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, _call, OPENING, [SECTION, CLOSING, SECTION_END])


def _call(sheet: Sheet) -> Steps[None]:
    yield from literal(sheet, KIND + SEPARATOR)
    name = yield from word(sheet)
    yield from blank(sheet)
    yield from literal(sheet, BLOCK)
    sheet.begin(name)
    yield from blank(sheet)
    yield from json_arguments(sheet)
    sheet.end()
    yield from blank(sheet)
    yield from literal(sheet, BLOCK_END)
    sheet.drop()
