"""This module reads what a model thinks before it answers."""

from dataclasses import dataclass

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, either, until


@dataclass(frozen=True, slots=True)
class ThinkingMarkers:
    """Says how a family marks its thoughts.

    assumed: an answer begins inside of the thoughts where neither it nor the end of the prompt has a marker: the model
    was taught to. special: the markers are special tokens.
    """

    opening: str = "<think>"
    ending: str = "</think>"
    assumed: bool = False
    special: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """The opening marker and the ending one."""
        return self.opening, self.ending


def think(buffer: ParserBuffer, thinking_markers: ThinkingMarkers, form: CallForm | None) -> Steps[bool]:
    """Gives out the thoughts, and returns where the answer begins: whether a call has ended them.

    White space next to the markers belongs to them. form: of calls, which some models begin before they have closed
    their thoughts.
    """
    yield from blank(buffer)
    try:
        found = yield from either(buffer, Markers(thinking_markers.pair))
        buffer.drop()
    except ParseError:
        buffer.unread_all()
        if not thinking_markers.assumed:
            return False
        found = thinking_markers.opening
    called = False
    if found == thinking_markers.opening:
        buffer.rest = buffer.reason
        called = yield from _thoughts(buffer, thinking_markers, form)
        buffer.rest = buffer.content
    if not called:
        yield from blank(buffer)
        buffer.drop()
    return called


def _thoughts(buffer: ParserBuffer, thinking_markers: ThinkingMarkers, form: CallForm | None) -> Steps[bool]:
    yield from blank(buffer)
    buffer.drop()
    markers = Markers([thinking_markers.ending, *(form.markers if form else ())])
    while True:
        found = yield from until(buffer, markers, buffer.reason)
        if found == thinking_markers.ending:
            buffer.reason(buffer.take().removesuffix(found).rstrip())  # a marker that no call came with
            buffer.drop()
            return False
        if form and found == form.opening and (yield from _call(buffer, thinking_markers, form)):
            return True


def _call(buffer: ParserBuffer, thinking_markers: ThinkingMarkers, form: CallForm) -> Steps[bool]:
    """Reads a call within the thoughts. Returns False where there is none of an offered tool: a mere mention."""
    num_before = buffer.calls
    try:
        yield from _until_mentioned(buffer, form, Markers([thinking_markers.ending, form.opening]))
    except ParseError:
        if buffer.calls > num_before:
            buffer.release()
            return True
        text = buffer.take()
        mention = text.rstrip()
        buffer.reason(mention)
        if text != mention:
            buffer.read(text[len(mention) :])  # white space that may stand in front of a marker
        return False
    return True


def _until_mentioned(buffer: ParserBuffer, form: CallForm, markers: Markers) -> Steps[None]:
    """Reads a call. Raises ParseError also where one of the markers comes before its name, and then that is unread.

    Otherwise a mention would hide the end of the thoughts, or a call behind it.
    """
    num_before = buffer.calls
    steps = form.read(buffer)
    wanted = next(steps)
    tail = ""
    while True:
        piece = yield wanted
        if buffer.calls == num_before:
            tail = tail[-markers.length :] + piece
            if found := markers.find(tail):
                steps.close()
                buffer.unread(len(tail) - found.start())
                raise ParseError
        try:
            wanted = steps.send(piece)
        except StopIteration:
            return
        except ParseError:
            if buffer.calls == num_before:
                buffer.unread(len(markers.begun_at_end(buffer.tail(markers.length))))
            raise
