"""Search for stop strings and stop patterns in text that comes in pieces of any size."""

from collections.abc import Iterable

import regex

from xylem.services.detokenizer.policy import DetokenizerPolicy

SEEN_CHARS = 256  # how far back `^`, `\b` and look-behind see; more than any pattern has characters


class TooSlow(Exception):
    """The search for a stop pattern takes too long; the message names the pattern."""


class StopMatcher:
    """Lets text through up to the first stop.

    Text is matched character by character: the stop that is complete first wins; of several that are complete with
    the same character, the one that begins first. So the outcome does not depend on how the text is split. Text that
    may still become a stop is held back. keep: whether the stop itself is let through. found: the stop, once matched.
    """

    __slots__ = ("_firsts", "_held", "_keep", "_patterns", "_seen", "_stops", "_timeout_s", "found")

    def __init__(
        self,
        stops: Iterable[str],
        patterns: Iterable[str] = (),
        *,
        keep: bool = False,
        policy: DetokenizerPolicy | None = None,
    ) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._firsts = frozenset(stop[0] for stop in self._stops)
        self._patterns = tuple(regex.compile(pattern) for pattern in patterns)
        self._keep = keep
        self._timeout_s = (policy or DetokenizerPolicy()).stop_search_timeout_s
        self._seen = ""  # text that was let through, as far as patterns look back
        self._held = ""
        self.found: str | None = None

    def feed_text(self, text: str) -> str:
        """Takes more text and returns what is certain now; an empty string after a match. Raises TooSlow."""
        if self.found is not None or not text:
            return ""
        num_known = len(self._held)
        text = self._held + text
        match = self._match(text, num_known)
        if match is not None:
            start, end = match
            self.found = text[start:end]
            self._held = ""
            return text[: end if self._keep else start]
        keep = self._possible_start(text)
        self._held = text[keep:]
        if self._patterns:
            self._seen = (self._seen + text[:keep])[-SEEN_CHARS:]
        return text[:keep]

    def pass_text(self, text: str) -> str:
        """Lets text through without a search for stops, after what is held back."""
        text = self.flush_held() + text
        self._seen = (self._seen + text)[-SEEN_CHARS:]
        return text

    def flush_held(self) -> str:
        """Returns the text held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _match(self, text: str, num_known: int) -> tuple[int, int] | None:
        """Start and end of the winning stop; the first num_known characters have been searched before."""
        ends = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if self._patterns:
            limit = min(ends)[0] if ends else len(text)
            ends += self._patterns_match(text, num_known, limit)
        if not ends:
            return None
        _, start = winner = min(ends)
        return start, winner[0]

    def _patterns_match(self, text: str, num_known: int, limit: int) -> list[tuple[int, int]]:
        offset = len(self._seen)
        whole = self._seen + text
        for end in range(num_known + 1, limit + 1):
            found = [
                (end, match.start() - offset)
                for pattern in self._patterns
                if (match := self._search(pattern, whole, offset, offset + end, partial=False)) and match.group()
            ]
            if found:
                return found
        return []

    def _possible_start(self, text: str) -> int:
        """Index from which on the text may become a stop, or its length."""
        possible = self._possible_pattern(text) if self._patterns else len(text)
        for index, char in enumerate(text[:possible]):
            if char in self._firsts:
                rest = text[index:]
                if any(stop.startswith(rest) for stop in self._stops):
                    return index
        return possible

    def _possible_pattern(self, text: str) -> int:
        offset = len(self._seen)
        whole = self._seen + text
        starts = [
            match.start() - offset
            for pattern in self._patterns
            if (match := self._search(pattern, whole, offset, len(whole), partial=True)) and match.partial
        ]
        return min(starts, default=len(text))

    def _search(
        self, pattern: "regex.Pattern[str]", text: str, start: int, end: int, *, partial: bool
    ) -> "regex.Match[str] | None":
        try:
            return pattern.search(text, start, end, partial=partial, timeout=self._timeout_s)
        except TimeoutError:
            raise TooSlow(f"the stop pattern {pattern.pattern!r} takes too long to be searched for") from None
