"""gpt-oss (harmony): messages with a channel and perhaps a recipient each.

<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>commentary to=functions.name
<|constrain|>json<|message|>{...}<|call|>, and `final` is the answer.
"""

import re

from xylem.services.gateway.output_parsers.json_call import json_arguments
from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, literal, until

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


def gpt_oss(sheet: Sheet) -> Steps[None]:
    yield from _rest_of_header(sheet)
    while True:
        found = yield from until(sheet, _MARKERS, sheet.rest)
        sheet.rest = sheet.content
        if found in ENDS:
            sheet.drop()
            continue
        try:
            yield from _message(sheet)
        except Broken:
            sheet.release()


def _rest_of_header(sheet: Sheet) -> Steps[None]:
    """The prompt ends inside of a header, and a recipient may stand in the rest of it, in front of the channel."""
    yield from blank(sheet)
    try:
        yield from literal(sheet, _FUNCTION)
    except Broken:
        sheet.unread_all()
        return
    try:
        yield from _message(sheet)
    except Broken:
        sheet.release()


def _message(sheet: Sheet) -> Steps[None]:
    """Reads the header of a message, and the body too where it is a call. Raises Broken."""
    header = sheet.since(0)
    while not header.endswith(MESSAGE):
        if len(header) > _HEADER_LENGTH:
            raise Broken
        header += yield None
    known = _HEADER.fullmatch(header)
    if not known:
        raise Broken
    before, channel, behind = known.groups()
    recipient = behind or before
    if recipient:
        # A recipient that is no function of the request gets no call, and the message is text.
        sheet.begin(recipient.removeprefix("functions."))
        yield from blank(sheet)
        yield from json_arguments(sheet)
        sheet.end()
        return
    sheet.drop()
    if channel == "analysis":
        sheet.rest = sheet.reason
        yield from blank(sheet)
        sheet.drop()
