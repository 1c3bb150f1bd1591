"""Regular expressions of JSON Schema (ECMA-262) as grammar nodes, one node per character.

Refused by name are features that a grammar can't express: look-around, back references, word boundaries, and anchors
in the middle.
"""

import re

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import (
    EMPTY,
    LAST,
    Alt,
    Chars,
    Node,
    Ranges,
    Repeat,
    Seq,
    alt,
    chars,
    seq,
    united,
    without,
)

ALL: Ranges = ((0, 0xD7FF), (0xE000, LAST))  # surrogates are no characters
DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = (
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
# Python and ECMA-262 disagree about some blanks: a negated class leaves out all that either of them calls one.
EITHER_SPACE: Ranges = united([*SPACE, (0x1C, 0x1F), (0x85, 0x85)])
LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
CLASSES = {"d": DIGIT, "w": WORD, "s": ((9, 13), (32, 32))}
NEGATED = {"D": DIGIT, "W": WORD, "S": EITHER_SPACE}
WIDE = {"s": EITHER_SPACE, "S": without(ALL, CLASSES["s"]), "D": without(ALL, DIGIT), "W": without(ALL, WORD)}
CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
MOST_REPEATS = 4096  # of one counted repetition
PRINTABLE = without(ALL, ((0, 31), (127, 159)))
_BEGIN, _END = Seq((EMPTY, Chars(((0, 0),)))), Seq((EMPTY, Chars(((1, 1),))))  # anchors, while parsing


def fullmatch_node(pattern: str) -> Node:
    """Returns the texts that match a pattern from end to end. Raises GrammarFailed."""
    return _unanchored(pattern, EMPTY)


def search_node(pattern: str) -> Node:
    """Returns the texts in which a pattern is found somewhere. Raises GrammarFailed."""
    return _unanchored(pattern, Repeat(Chars(PRINTABLE), 0, None))


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether a pattern of a schema matches. Raises GrammarFailed for one that search_node would refuse."""
    search_node(pattern)
    python = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    try:
        return re.search(python, text, re.ASCII) is not None
    except re.error as error:
        raise GrammarFailed(f"the pattern {pattern!r} can't be used: {error}") from None


def _unanchored(pattern: str, anything: Node) -> Node:
    """`anything` stands at an end of an alternative that has no anchor there."""
    options = []
    for option in _options(_Parser(pattern).whole()):
        parts = list(option.parts) if isinstance(option, Seq) and option not in (_BEGIN, _END) else [option]
        begins = parts[:1] == [_BEGIN]
        parts = parts[begins:]
        ends = parts[-1:] == [_END]
        parts = parts[: len(parts) - ends]
        if any(_anchored(part) for part in parts):
            raise GrammarFailed(f"the pattern {pattern!r} has an anchor in its middle, which is not supported")
        options.append(seq(EMPTY if begins else anything, *parts, EMPTY if ends else anything))
    return alt(options)


def _options(node: Node) -> tuple[Node, ...]:
    return node.options if isinstance(node, Alt) else (node,)


def _anchored(node: Node) -> bool:
    if node in (_BEGIN, _END):
        return True
    match node:
        case Seq(nodes) | Alt(nodes):
            return any(map(_anchored, nodes))
        case Repeat(inner, _, _):
            return _anchored(inner)
        case _:
            return False


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> Node:
        node = self._alternatives()
        if self._at < len(self._pattern):
            raise self._failed("a parenthesis too many")
        return node

    def _failed(self, what: str) -> GrammarFailed:
        return GrammarFailed(f"the pattern {self._pattern!r} can't be used: {what} at character {self._at}")

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        if not char:
            raise self._failed("it ends too early")
        self._at += 1
        return char

    def _took(self, text: str) -> bool:
        if self._pattern.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _alternatives(self) -> Node:
        options = [self._sequence()]
        while self._took("|"):
            options.append(self._sequence())
        return alt(options)

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            atom = self._atom()
            parts.append(atom if atom in (_BEGIN, _END) else self._repeated(atom))
        # Not seq(): anchors must stay whole until they are looked for.
        return parts[0] if len(parts) == 1 else Seq(tuple(parts)) if parts else EMPTY

    def _repeated(self, atom: Node) -> Node:
        while True:
            if self._took("*"):
                least, most = 0, None
            elif self._took("+"):
                least, most = 1, None
            elif self._took("?"):
                least, most = 0, 1
            elif self._peek() == "{":
                bounds = self._bounds()
                if bounds is None:
                    return atom
                least, most = bounds
            else:
                return atom
            self._took("?")  # lazy or not, the language is the same
            if self._peek() == "+":
                raise self._failed("a possessive repetition")
            atom = Repeat(atom, least, most)

    def _bounds(self) -> tuple[int, int | None] | None:
        end = self._pattern.find("}", self._at)
        least, comma, most = self._pattern[self._at + 1 : max(end, 0)].partition(",")
        if not least.isdecimal() or (most and not most.isdecimal()):
            raise self._failed("a brace that counts nothing")
        bounds = int(least), (int(most) if most else None) if comma else int(least)
        if max(bounds[0], bounds[1] or 0) > MOST_REPEATS or (bounds[1] is not None and bounds[1] < bounds[0]):
            raise self._failed(f"a repetition beyond 0 to {MOST_REPEATS}")
        self._at = end + 1
        return bounds

    def _atom(self) -> Node:
        char = self._next()
        match char:
            case "^":
                return _BEGIN
            case "$":
                return _END
            case ".":
                return Chars(without(PRINTABLE, LINE_ENDS))
            case "(":
                return self._group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise self._failed("nothing to repeat")
            case _:
                return chars((ord(char), ord(char)))

    def _group(self) -> Node:
        if self._took("?") and not self._took(":"):
            if not (self._took("<") and self._peek() not in "=!") and not self._took("P<"):
                raise self._failed("look-around or flags")
            while self._next() != ">":
                pass
        node = self._alternatives()
        if not self._took(")"):
            raise self._failed("an open parenthesis")
        return node

    def _escape(self) -> Chars:
        return Chars(self._escaped_ranges())

    def _escaped_ranges(self) -> Ranges:
        char = self._next()
        if char in CLASSES:
            return CLASSES[char]
        if char in NEGATED:
            return without(PRINTABLE, NEGATED[char])
        if char in CONTROLS:
            return ((CONTROLS[char], CONTROLS[char]),)
        if char in "xu":
            digits = "".join(self._next() for _ in range(2 if char == "x" else 4))
            try:
                point = int(digits, 16)
            except ValueError:
                raise self._failed("a character code that is none") from None
            return without(((point, point),), ((0xD800, 0xDFFF),))
        if char.isalnum():
            raise self._failed(f"\\{char}")
        return ((ord(char), ord(char)),)

    def _class(self) -> Chars:
        negated = self._took("^")
        ranges: list[tuple[int, int]] = []
        while not self._took("]"):
            first = self._class_member(wide=negated)
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", "") and len(first) == 1:
                at = self._at
                self._at += 1
                last = self._class_member(wide=negated)
                if first[0][0] == first[0][1] and len(last) == 1 and last[0][0] == last[0][1]:
                    if last[0][0] < first[0][0]:
                        raise self._failed("a range that runs backwards")
                    ranges.append((first[0][0], last[0][0]))
                    continue
                self._at = at  # as in [\w-.]: the hyphen stands for itself
            ranges += first
        members = united(ranges)
        return Chars(without(PRINTABLE, members) if negated else members)

    def _class_member(self, *, wide: bool) -> Ranges:
        """wide: dialects differ, and this is left out of a class, so it must be all that any of them means."""
        char = self._next()
        if char != "\\":
            return ((ord(char), ord(char)),)
        if self._took("b"):
            return ((8, 8),)
        if wide and self._peek() in WIDE:
            return WIDE[self._next()]
        return self._escaped_ranges()
