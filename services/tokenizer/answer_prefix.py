"""The beginning of an answer that its prompt ends with: a marker of thoughts, or a message that is to be continued."""

import re
from collections.abc import Callable, Sequence

# Of what is longer only both ends are kept: there are the markers and the place where the answer goes on.
MAX_CHARS = 16_384


def answer_prefix(
    prompt: str, markers: Sequence[str], continued: str | None, render_before: Callable[[], str | None]
) -> str:
    """Returns the end of `prompt` that belongs to the answer; "" where the answer begins with its first token.

    markers: what an answer may begin with. Everything from the first one on is the answer's, in what the template has
    written behind the conversation. continued: the content of the message that the answer goes on with, if it does: it
    belongs to the answer, too. render_before: renders the conversation without that message and without the beginning
    of an answer, None where the template refuses to. It is called only where there is something to find.
    """
    if continued is None and not any(marker in prompt for marker in markers):
        return ""
    before = render_before()
    if continued is None and before in (None, prompt):
        # The template writes the beginning of an answer in any case: what it ends with is that.
        at_end = _ending(markers).search(prompt)
        return at_end.group() if at_end else ""
    tail = prompt[_common_length(prompt, before or "") :]
    starts = [tail.find(marker) for marker in markers]
    if continued is not None:
        starts.append(tail.find(continued.strip()) if continued.strip() else -1)
    start = min((start for start in starts if start >= 0), default=len(tail))
    return _bounded(tail[start:])


def _ending(markers: Sequence[str]) -> re.Pattern[str]:
    either = "|".join(map(re.escape, markers))
    return re.compile(rf"(?:(?:{either})\s*)+\Z")


def _common_length(text: str, other: str) -> int:
    if text.startswith(other):
        return len(other)
    return next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))


def _bounded(text: str) -> str:
    half = MAX_CHARS // 2
    return text if len(text) <= MAX_CHARS else text[:half] + text[-half:]
