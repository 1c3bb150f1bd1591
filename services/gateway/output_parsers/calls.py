"""The loop that most formats share: text, a marker, a call, text again."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, literal, peek, until

ReadCall = Callable[[ParserBuffer], Steps[None]]


@dataclass(frozen=True, slots=True)
class CallForm:
    """Says how calls stand in a text.

    opening: the marker in front of a call, which `read` reads. around: markers beside that one, which say nothing by
    themselves: in front of the first call they wait for it, and if it does not come, they were content. bare: an
    answer that begins with this text is calls without the marker, if it can be read so; bare_name finds the name, or
    the beginning of one, at the end of such an answer.
    """

    opening: str
    read: ReadCall
    around: tuple[str, ...] = ()
    bare: str = ""
    bare_name: re.Pattern[str] | None = None

    @property
    def markers(self) -> tuple[str, ...]:
        """The opening, and what stands around it."""
        return (self.opening, *self.around)


def answer_with_calls(buffer: ParserBuffer, form: CallForm, ignored: Sequence[str] = ()) -> Steps[None]:
    """Gives out an answer from its first character on: text as content, and the calls in it."""
    if form.bare:
        yield from _bare_calls(buffer, form)
    yield from calls_in_text(buffer, form, ignored)


def calls_in_text(buffer: ParserBuffer, form: CallForm | None, ignored: Sequence[str] = ()) -> Steps[None]:
    """Gives out text as content, and reads a call after each opening. `ignored`: markers that are never content."""
    markers = Markers([*(form.markers if form else ()), *ignored, *buffer.ends])
    while True:
        found = yield from until(buffer, markers, buffer.content)
        if form and found == form.opening:
            try:
                yield from form.read(buffer)
            except ParseError:
                buffer.release()
        elif buffer.calls or found in ignored:
            buffer.drop()


def _bare_calls(buffer: ParserBuffer, form: CallForm) -> Steps[None]:
    buffer.is_text = lambda text: not _has_name(text, form, buffer)
    yield from blank(buffer)
    if (yield from peek(buffer)) == form.bare:
        try:
            yield from form.read(buffer)
        except ParseError:
            buffer.release()
    else:
        buffer.unread_all()
    buffer.reset_text()


def _has_name(text: str, form: CallForm, buffer: ParserBuffer) -> bool:
    """Whether an answer that is cut here has at least begun to name one of the tools."""
    found = form.bare_name.search(text) if form.bare_name else None
    return found is not None and any(name.startswith(found[1]) for name in buffer.tools)


def bracketed(buffer: ParserBuffer, read: ReadCall) -> Steps[None]:
    """Reads calls with commas between, from the opening bracket to the closing one. Raises ParseError."""
    yield from literal(buffer, "[")
    char = ","
    while char == ",":
        yield from read(buffer)
        yield from blank(buffer)
        char = yield None
    if char != "]":
        buffer.unread()
        raise ParseError
    buffer.drop()


def plain(buffer: ParserBuffer, ignored: Sequence[str] = ()) -> Steps[None]:
    """All of the text is the answer."""
    yield from calls_in_text(buffer, None, ignored)
