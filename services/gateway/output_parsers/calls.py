"""The loop that most formats share: text, a marker, a call, text again."""

from collections.abc import Callable, Sequence

from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, literal, until

ReadCall = Callable[[Sheet], Steps[None]]


def calls_in_text(sheet: Sheet, read: ReadCall | None, opening: str = "", around: Sequence[str] = ()) -> Steps[None]:
    """Gives out text as content, and reads a call after each `opening`.

    `around`: markers of the format beside that one, which say nothing by themselves. In front of the first call they
    wait for it; if it does not come, they were content.
    """
    markers = Markers([*([opening] if read else []), *around, *sheet.ends])
    while True:
        found = yield from until(sheet, markers, sheet.content)
        if found == opening and read:
            try:
                yield from read(sheet)
            except Broken:
                sheet.release()
        elif sheet.calls:
            sheet.drop()


def bracketed(sheet: Sheet, read: ReadCall) -> Steps[None]:
    """Reads calls with commas between, from the opening bracket to the closing one. Raises Broken."""
    yield from literal(sheet, "[")
    char = ","
    while char == ",":
        yield from read(sheet)
        yield from blank(sheet)
        char = yield None
    if char != "]":
        sheet.unread()
        raise Broken
    sheet.drop()


def plain(sheet: Sheet) -> Steps[None]:
    """All of the text is the answer."""
    yield from calls_in_text(sheet, None)
