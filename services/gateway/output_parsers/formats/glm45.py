"""GLM 4.5 and later: <tool_call>name, then <arg_key>key</arg_key><arg_value>value</arg_value>..., then </tool_call>."""

import re

from xylem.services.gateway.output_parsers.calls import calls_in_text
from xylem.services.gateway.output_parsers.keyed import ObjectText, read_value, types_of
from xylem.services.gateway.output_parsers.sheet import Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, either, literal, word

OPENING = "<tool_call>"
CLOSING = "</tool_call>"
KEY = "<arg_key>"
KEY_END = "</arg_key>"
VALUE = "<arg_value>"
VALUE_END = "</arg_value>"

_NEXT = Markers([KEY, CLOSING])
_ENDINGS = Markers([VALUE_END])
_KEY = re.compile(r"[^<]+")


def glm45(sheet: Sheet) -> Steps[None]:
    yield from calls_in_text(sheet, _call, OPENING, [CLOSING])


def _call(sheet: Sheet) -> Steps[None]:
    yield from blank(sheet)
    name = yield from word(sheet)
    yield from blank(sheet)
    found = yield from either(sheet, _NEXT)
    sheet.begin(name)
    members = ObjectText(sheet)
    while found == KEY:
        key = yield from word(sheet, _KEY)
        yield from literal(sheet, KEY_END)
        yield from blank(sheet)
        yield from literal(sheet, VALUE)
        sheet.drop()
        members.key(key.strip())
        yield from read_value(sheet, types_of(sheet.tools[name], key.strip()), _ENDINGS, lines=False)
        yield from blank(sheet)
        found = yield from either(sheet, _NEXT)
    members.end()
    sheet.end()
