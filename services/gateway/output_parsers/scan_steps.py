"""Steps that all formats are read by: white space, a word, an expected text, one of several markers."""

import re
from collections.abc import Callable, Sequence

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer

Give = Callable[[str], None]

_BLANK = re.compile(r"\s+")
_NAME = re.compile(r"[\w.:/\-]+")


class Markers:
    """Words that mean something, and the beginnings of them, which may not be given out before it is clear."""

    def __init__(self, words: Sequence[str]) -> None:
        """None of the words may be the beginning of another one, or begin with white space."""
        self.words = frozenset(words)
        self.length = max(map(len, words), default=0)  # of the longest
        self.beginnings = frozenset({""}.union(word[:cut] for word in words for cut in range(len(word))))
        first = "".join(re.escape(word[0]) for word in words)
        self.plain = re.compile(rf"[^\s{first}]+")
        self.find = re.compile("|".join(map(re.escape, words))).search  # the first of them in a text

    def begun_at_end(self, text: str, first: int = 0) -> str:
        """Returns the longest end of a short text, from character `first` on, that is the beginning of a word."""
        return next(text[cut:] for cut in range(first, len(text) + 1) if text[cut:] in self.beginnings)


def peek(buffer: ParserBuffer) -> Steps[str]:
    """The next character, which is not read by that."""
    char = yield None
    buffer.unread()
    return char


def blank(buffer: ParserBuffer) -> Steps[None]:
    """Reads white space, if there is any."""
    while (yield _BLANK).isspace():
        pass
    buffer.unread()


def word(buffer: ParserBuffer, pattern: re.Pattern[str] = _NAME) -> Steps[str]:
    """Reads characters as long as they match. Raises ParseError when not even one does."""
    pieces = []
    while pattern.match(piece := (yield pattern)):
        pieces.append(piece)
    buffer.unread()
    if not pieces:
        raise ParseError
    return "".join(pieces)


def literal(buffer: ParserBuffer, expected: str) -> Steps[None]:
    """Reads exactly this. Raises ParseError at the first other character, which stays unread."""
    for char in expected:
        if (yield None) != char:
            buffer.unread()
            raise ParseError


def either(buffer: ParserBuffer, markers: Markers) -> Steps[str]:
    """Reads one of the markers and returns it. Raises ParseError at the first other character, which stays unread."""
    begun = ""
    while True:
        begun += yield None
        if begun in markers.words:
            return begun
        if begun not in markers.beginnings:
            buffer.unread()
            raise ParseError


def until(buffer: ParserBuffer, markers: Markers, give: Give | None) -> Steps[str]:
    """Gives out text up to the first marker, and returns that.

    The marker stays held, and so does the white space before it, which belongs to the format where a marker follows.
    Without `give`, all of the text stays held.
    """
    begun = ""  # the longest end of the text that is the beginning of a marker
    while True:
        piece = yield None if begun else markers.plain
        if not begun and piece.isspace():
            continue
        begun += piece
        if begun in markers.words:
            return begun
        if begun in markers.beginnings:
            continue
        begun = markers.begun_at_end(begun, 1) if len(piece) == 1 else ""
        if give:
            give(buffer.take(keep=len(begun) or int(piece.isspace())))


def comma(buffer: ParserBuffer, closing: str) -> Steps[None]:
    """Reads what stands between two members, and gives it out; after the last one a comma may stand, and none is given.

    Raises ParseError for anything else.
    """
    yield from blank(buffer)
    if (yield from peek(buffer)) == closing:
        return
    yield from literal(buffer, ",")
    yield from blank(buffer)
    buffer.drop()
    if (yield from peek(buffer)) != closing:
        buffer.arguments(", ")
