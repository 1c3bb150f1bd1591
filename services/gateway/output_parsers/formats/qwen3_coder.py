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

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.key_value_arguments import ObjectText, read_value, types_of
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, either, literal, word

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


def _call(buffer: ParserBuffer) -> Steps[None]:
    name = yield from word(buffer)
    yield from literal(buffer, ">")
    buffer.begin(name)
    members = ObjectText(buffer)
    found = PARAMETER_END
    while found != CLOSING:
        if found == PARAMETER_END:
            yield from blank(buffer)
            found = yield from either(buffer, _NEXT)
            continue
        key = yield from word(buffer, _KEY)
        yield from literal(buffer, ">")
        buffer.drop()
        members.key(key)
        found = yield from read_value(buffer, types_of(buffer.tools[name], key), _ENDINGS, lines=True)
    members.end_object()
    buffer.end()


# The model sometimes forgets <tool_call>, too: the function's own tag is what opens a call.
QWEN3_CODER = CallForm(OPENING, _call, (SECTION, SECTION_END))
