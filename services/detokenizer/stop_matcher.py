"""Stop strings in text that comes in pieces of any size."""

from collections.abc import Iterable


class StopMatcher:
    """Lets text through up to the first stop string.

    The match that is complete first wins; of several that are complete with the same character, the one that begins
    first. So the outcome does not depend on how the text is split. What might still become a stop string is held back.
    """

    __slots__ = ("_firsts", "_held", "_stops", "found")

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._firsts = frozenset(stop[0] for stop in self._stops)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Takes more text; returns what is certain now. After a match (`found`) there is nothing more."""
        if self.found or not text:
            return ""
        text = self._held + text
        cut = self._match(text)
        if cut >= 0:
            self.found = True
            self._held = ""
            return text[:cut]
        keep = self._possible_start(text)
        self._held = text[keep:]
        return text[:keep]

    def flush(self) -> str:
        """What is held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _match(self, text: str) -> int:
        """Index at which the winning stop string begins, or -1."""
        ends = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        return min(ends)[1] if ends else -1

    def _possible_start(self, text: str) -> int:
        """Index of the longest suffix that begins some stop string, or the text's length."""
        for index, char in enumerate(text):
            if char in self._firsts:
                rest = text[index:]
                if any(stop.startswith(rest) for stop in self._stops):
                    return index
        return len(text)
