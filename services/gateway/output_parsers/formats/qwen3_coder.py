"""Qwen3-Coder: arguments as they are, between tags; what type they have is said by the tool's schema.

<tool_call>
<function=name>
<parameter=key>
value
</parameter>
</function>
</tool_call>
"""

import re

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.keyed import ObjectText, read_value, types_of
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, either, literal, word

SECTION = "<tool_call>"
SECTION_END = "</tool_call>"
OPENING = "<function="
CLOSING = "</function>"
PARAMETER = "<parameter="
PARAMETER_END = "</parameter>"

_NEXT = Markers([PARAMETER, CLOSING])
# The model sometimes forgets to close a parameter; the next one, or the function's end, does it then.
_ENDINGS = Markers([PARAMETER_END, PARAMETER, CLOSING])
_KEY = re.compile(r"[^<>\s]+")


def qwen3_coder(sheet: Sheet) -> Steps[None]:
    # The model sometimes forgets <tool_call>, too: the function's own tag is what opens a call.
    yield from calls_in_text(sheet, _call, OPENING, [SECTION, SECTION_END])


def _call(sheet: Sheet) -> Steps[None]:
    name = yield from word(sheet)
    yield from literal(sheet, ">")
    sheet.begin(name)
    members = ObjectText(sheet)
    found = PARAMETER_END
    while found != CLOSING:
        if found == PARAMETER_END:
            yield from blank(sheet)
            found = yield from either(sheet, _NEXT)
            continue
        key = yield from word(sheet, _KEY)
        yield from literal(sheet, ">")
        sheet.drop()
        members.key(key)
        found = yield from read_value(sheet, types_of(sheet.tools[name], key), _ENDINGS, lines=True)
    members.end()
    sheet.end()
