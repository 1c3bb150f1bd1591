"""The buffer holds what a parser has read and not yet decided on, and what it has made of the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, Delta, Reasoning

Schema = Mapping[str, Any]


class ParseError(Exception):
    """The text can't be what its beginning promised."""


def _never(_: str) -> bool:
    return False


class ParserBuffer:
    """The text of one choice while it is taken apart.

    Text that was read is *held* until it is decided what it is: `content`, `reason` and `arguments` give text out,
    `take` ends the holding of it, `drop` is for markers. No text is lost by forgetting about it: what is still held
    when the text ends is given out as `rest` says.
    """

    def __init__(self, tools: Mapping[str, Schema], ends: Sequence[str] = ()) -> None:
        """tools: the schemas of the arguments by a tool's name. ends: tokens that end a turn, no part of the answer."""
        self.tools = tools
        self.ends = tuple(ends)
        self.calls = 0  # how many have begun
        self.again: list[str] = []  # characters to be read once more, the first one last
        self.rest = self.content
        self.is_text: Callable[[str], bool] = _never  # whether what is held may be no marker, or beginning of one
        self._held: list[str] = []
        self._said: list[Delta] = []
        self._marked = False  # nothing but markers and white space came since something was dropped
        self._argued = False
        self._num_skipped = 0  # characters at the start of what is held that the prompt has, so that nobody is told

    def read(self, piece: str) -> None:
        """Holds more text."""
        self._held.append(piece)

    def mark(self) -> int:
        """Returns the end of the held text, for `since`."""
        return len(self._held)

    def since(self, mark: int) -> str:
        """Returns what was held after a mark. Nothing may have been taken or unread before the mark."""
        return "".join(self._held[mark:])

    def tail(self, length: int) -> str:
        """Returns the last characters of the held text."""
        text = ""
        for piece in reversed(self._held):
            text = piece[-length:] + text
            length -= len(piece)
            if length <= 0:
                break
        return text

    def take(self, keep: int = 0) -> str:
        """The held text, which is held no longer, but for its last `keep` characters."""
        text = "".join(self._held)
        cut = len(text) - keep
        self._held = [text[cut:]] if keep else []
        return text[:cut]

    def unread(self, count: int = 1) -> None:
        """The last characters are read once more, by whoever reads next."""
        while count:
            piece = self._held.pop()
            if len(piece) > count:
                self._held.append(piece[:-count])
                piece = piece[-count:]
            self.again.extend(reversed(piece))
            count -= len(piece)

    def unread_all(self) -> None:
        """All that is held is read once more."""
        self.unread(sum(map(len, self._held)))

    def reset_text(self) -> None:
        """What is held from here on is a marker, or the beginning of one."""
        self.is_text = _never

    def drop(self) -> None:
        """Drops what is held: it was a marker of the format, and white space around it."""
        self._held.clear()
        self._num_skipped = 0
        self._marked = True

    def release(self) -> None:
        """Gives out what is held: it is no marker after all."""
        self.content(self.take())

    def content(self, text: str) -> None:
        """Gives out text of the answer."""
        self._marked = self._marked and not text
        self._said.append(Content(self._new(text)))

    def reason(self, text: str) -> None:
        """Gives out a part of the thinking."""
        self._marked = self._marked and not text
        self._said.append(Reasoning(self._new(text)))

    def skip_held(self) -> None:
        """Never gives out as text what is held now: the prompt has it already."""
        self._num_skipped = sum(map(len, self._held))

    def _new(self, text: str) -> str:
        num_skipped = min(self._num_skipped, len(text))
        self._num_skipped -= num_skipped
        return text[num_skipped:]

    def begin(self, name: str) -> None:
        """A call begins, and what is held led to it. Raises ParseError when there is no tool of that name."""
        if name not in self.tools:
            raise ParseError
        self.drop()
        self.rest = self.content  # whatever was thought before
        self.is_text = _never
        self._said.append(CallBegun(self.calls, name))
        self.calls += 1
        self._argued = False

    def arguments(self, text: str) -> None:
        """Gives out more of the arguments of the call that began last."""
        self._argued = self._argued or bool(text)
        self._num_skipped = 0
        self._said.append(CallArguments(self.calls - 1, text))

    def end(self) -> None:
        """The call is whole: one that gave no arguments has none, which is an empty object in JSON."""
        if not self._argued:
            self.arguments("{}")
        self.drop()

    def finish(self, *, is_cut: bool) -> None:
        """No more text comes: gives out what is held.

        Tokens that end the turn are left away, and so is white space that only stood around calls and thoughts. Of an
        answer that was cut, what is held is half a marker, or a call without its name: nobody wants to read that.
        """
        text = self.take()
        if is_cut and not text.isspace() and not self.is_text(text):
            return
        while end := next((end for end in self.ends if text.endswith(end)), ""):
            text = text.removesuffix(end)
        if not (self._marked and text.isspace()):
            self.rest(text)

    def collect(self) -> list[Delta]:
        """Returns what was given out since the last time. Neighbours of one kind are one delta."""
        said, self._said = self._said, []
        deltas: list[Delta] = []
        for _, group in groupby(said, key=lambda delta: (type(delta), getattr(delta, "index", 0))):
            first, *more = group
            if not isinstance(first, CallBegun):
                first = replace(first, text=first.text + "".join(delta.text for delta in more))  # type: ignore[union-attr]
                if not first.text:
                    continue
            deltas.append(first)
        return deltas
