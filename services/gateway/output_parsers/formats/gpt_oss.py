"""gpt-oss (harmony): messages with a channel and perhaps a recipient each.

<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>commentary to=functions.name
<|constrain|>json<|message|>{...}<|call|>, and `final` is the answer.
"""

import re

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, literal, until

START = "<|start|>"
CHANNEL = "<|channel|>"
MESSAGE = "<|message|>"
CONSTRAIN = "<|constrain|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")

_MARKERS = Markers([START, CHANNEL, *ENDS])
# A header is a few words; what is longer without its end is no header.
_HEADER_LENGTH = 300
_FUNCTION = "to=functions."
_RECIPIENT = r"(?:\s*to=([\w.\-]+))?"
_HEADER = re.compile(
    r"\s*(?:<\|start\|>\s*assistant)?"
    + _RECIPIENT
    + r"(?:\s*<\|channel\|>\s*(analysis|commentary|final))?"
    + _RECIPIENT
    + r"\s*(?:<\|constrain\|>)?\s*(?:json|code|text)?\s*<\|message\|>"
)


def gpt_oss(buffer: ParserBuffer) -> Steps[None]:
    yield from _rest_of_header(buffer)
    while True:
        found = yield from until(buffer, _MARKERS, buffer.rest)
        buffer.rest = buffer.content
        if found in ENDS:
            buffer.drop()
            continue
        try:
            yield from _message(buffer)
        except ParseError:
            buffer.release()


def _rest_of_header(buffer: ParserBuffer) -> Steps[None]:
    """The prompt ends inside of a header, and a recipient may stand in the rest of it, in front of the channel."""
    buffer.is_text = lambda text: len(text.strip()) < len(_FUNCTION)
    yield from blank(buffer)
    try:
        yield from literal(buffer, _FUNCTION)
    except ParseError:
        buffer.unread_all()
        return
    finally:
        buffer.reset_text()
    try:
        yield from _message(buffer)
    except ParseError:
        buffer.release()


def _message(buffer: ParserBuffer) -> Steps[None]:
    """Reads the header of a message, and the body too where it is a call. Raises ParseError."""
    header = buffer.since(0)
    while not header.endswith(MESSAGE):
        if len(header) > _HEADER_LENGTH:
            raise ParseError
        header += yield None
    known = _HEADER.fullmatch(header)
    if not known:
        raise ParseError
    before, channel, behind = known.groups()
    recipient = behind or before
    if recipient:
        # A recipient that is no function of the request gets no call, and the message is text.
        buffer.begin(recipient.removeprefix("functions."))
        yield from blank(buffer)
        yield from json_arguments(buffer)
        buffer.end()
        return
    buffer.drop()
    if channel == "analysis":
        buffer.rest = buffer.reason
        yield from blank(buffer)
        buffer.drop()
