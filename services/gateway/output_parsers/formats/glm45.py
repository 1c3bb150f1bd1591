"""GLM 4.5 and later: <tool_call>name, then <arg_key>key</arg_key><arg_value>value</arg_value>..., then </tool_call>."""

import re

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.key_value_arguments import ObjectText, read_value, types_of
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, either, literal, word

OPENING = "<tool_call>"
CLOSING = "</tool_call>"
KEY = "<arg_key>"
KEY_END = "</arg_key>"
VALUE = "<arg_value>"
VALUE_END = "</arg_value>"

_NEXT = Markers([KEY, CLOSING])
_ENDINGS = Markers([VALUE_END])
_KEY = re.compile(r"[^<]+")


def _call(buffer: ParserBuffer) -> Steps[None]:
    yield from blank(buffer)
    name = yield from word(buffer)
    yield from blank(buffer)
    found = yield from either(buffer, _NEXT)
    buffer.begin(name)
    members = ObjectText(buffer)
    while found == KEY:
        key = yield from word(buffer, _KEY)
        yield from literal(buffer, KEY_END)
        yield from blank(buffer)
        yield from literal(buffer, VALUE)
        buffer.drop()
        members.key(key.strip())
        yield from read_value(buffer, types_of(buffer.tools[name], key.strip()), _ENDINGS, lines=False)
        yield from blank(buffer)
        found = yield from either(buffer, _NEXT)
    members.end_object()
    buffer.end()


GLM45 = CallForm(OPENING, _call, (CLOSING,))
