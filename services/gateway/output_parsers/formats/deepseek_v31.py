"""DeepSeek V3.1: a section of calls, each with its name and its arguments only.

<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>name<｜tool▁sep｜>{...}<｜tool▁call▁end｜>...<｜tool▁calls▁end｜>
"""

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.formats.deepseek_v3 import CLOSING, OPENING, SECTION, SECTION_END, SEPARATOR
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, word


def deepseek_v31(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, _call, OPENING, [SECTION, CLOSING, SECTION_END])


def _call(sheet: Sheet) -> Steps[None]:
    name = yield from word(sheet)
    yield from literal(sheet, SEPARATOR)
    sheet.begin(name)
    yield from blank(sheet)
    yield from json_arguments(sheet)
    sheet.end()
