"""Tokens with their log probabilities, as the forms of answers show them."""

import math
from collections import deque
from dataclasses import dataclass

from xylem.shared.protocol import TokenLogprobs
from xylem.shared.protocol.columns import unpack, unpack_floats


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that might have been drawn."""

    token_id: int
    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class LogprobToken:
    """One token. logprob: None for the first of a prompt. start, end: characters of the text before it and with it."""

    token_id: int
    text: bytes
    logprob: float | None
    start: int
    end: int
    top: tuple[Alternative, ...] = ()  # likeliest first
    asked: tuple[float, ...] = ()  # of the ids that were asked for
    asked_texts: tuple[bytes, ...] = ()  # what those look like


def scored_of(message: TokenLogprobs) -> list[LogprobToken]:
    """The tokens of a row, one by one."""
    scores = message.scores
    token_ids, ends = unpack(message.token_ids), unpack(message.ends)
    logprobs = unpack_floats(scores.logprobs)
    top_ids, top_logprobs = unpack(scores.top_ids), unpack_floats(scores.top_logprobs)
    asked = unpack_floats(scores.asked_logprobs)
    num_top, num_asked = len(top_ids) // max(1, len(token_ids)), len(asked) // max(1, len(token_ids))
    tokens = []
    start = message.start
    for i, (token_id, text, end, logprob) in enumerate(zip(token_ids, message.tokens, ends, logprobs, strict=True)):
        tops = range(i * num_top, (i + 1) * num_top)
        known = not math.isnan(logprob)
        tokens.append(
            LogprobToken(
                token_id=token_id,
                text=text,
                logprob=logprob if known else None,
                start=start,
                end=end,
                top=tuple(Alternative(top_ids[j], message.top_tokens[j], top_logprobs[j]) for j in tops if known),
                asked=tuple(asked[i * num_asked : (i + 1) * num_asked]) if known else (),
                asked_texts=message.asked_tokens,
            )
        )
        start = end
    return tokens


class LogprobQueue:
    """Scored tokens of one choice, let through with the text that they belong to: some of it may yet be cut."""

    def __init__(self) -> None:
        self._waiting: deque[LogprobToken] = deque()

    def add_tokens(self, tokens: list[LogprobToken]) -> None:
        self._waiting.extend(tokens)

    def take_tokens(self, num_chars: int) -> list[LogprobToken]:
        """The tokens of the first num_chars characters: those of none, at the end of it, go with what comes next.

        So it depends on the number alone, and a stream that is read on elsewhere leaves none out and repeats none.
        """
        taken = []
        while self._waiting and self._waiting[0].start < num_chars and self._waiting[0].end <= num_chars:
            taken.append(self._waiting.popleft())
        return taken

    def take_rest(self, num_chars: int) -> list[LogprobToken]:
        """After the end of the text, with num_chars characters: all but those that were cut off wholly."""
        rest = [token for token in self._waiting if token.start < num_chars or token.end == token.start]
        self._waiting.clear()
        return rest
