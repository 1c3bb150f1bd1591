"""The loop that most formats share: text, a marker, a call, text again."""

from collections.abc import Callable, Sequence

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, literal, until

ReadCall = Callable[[ParserBuffer], Steps[None]]


def calls_in_text(
    buffer: ParserBuffer, read: ReadCall | None, opening: str = "", around: Sequence[str] = ()
) -> Steps[None]:
    """Gives out text as content, and reads a call after each `opening`.

    `around`: markers of the format beside that one, which say nothing by themselves. In front of the first call they
    wait for it; if it does not come, they were content.
    """
    markers = Markers([*([opening] if read else []), *around, *buffer.ends])
    while True:
        found = yield from until(buffer, markers, buffer.content)
        if found == opening and read:
            try:
                yield from read(buffer)
            except ParseError:
                buffer.release()
        elif buffer.calls:
            buffer.drop()


def bracketed(buffer: ParserBuffer, read: ReadCall) -> Steps[None]:
    """Reads calls with commas between, from the opening bracket to the closing one. Raises Broken."""
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


def plain(buffer: ParserBuffer) -> Steps[None]:
    """All of the text is the answer."""
    yield from calls_in_text(buffer, None)
