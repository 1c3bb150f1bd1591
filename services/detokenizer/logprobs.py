"""Log probabilities with the looks of their tokens."""

from array import array
from collections.abc import Callable, Sequence

from xylem.shared.protocol import Logprobs, TokenLogprobs
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack

Spell = Callable[[int], bytes]


def scored_tokens(
    scores: Logprobs, token_ids: "array[int]", ends: Sequence[int], start: int, asked_ids: bytes, spell: Spell
) -> TokenLogprobs:
    """The tokens of a row, or of a prompt. ends: characters by the end of each; start: those before the first."""
    return TokenLogprobs(
        scores=scores,
        token_ids=pack(token_ids),
        tokens=tuple(map(spell, token_ids)),
        ends=pack(ends),
        top_tokens=tuple(map(spell, unpack(scores.top_ids))),
        asked_tokens=tuple(map(spell, unpack(asked_ids))),
        start=start,
    )


def without_first(scores: Logprobs, num_skipped: int, num_tokens: int) -> Logprobs:
    """Of num_tokens tokens, those after the first num_skipped."""
    if not num_skipped:
        return scores
    columns = (scores.logprobs, scores.top_ids, scores.top_logprobs, scores.asked_logprobs)
    return Logprobs(*(_cut(column, num_skipped, num_tokens) for column in columns))


def _cut(column: bytes, num_skipped: int, num_tokens: int) -> bytes:
    """Each token has the same number of values in a column."""
    return column[num_skipped * (len(column) // ITEM_BYTES // num_tokens) * ITEM_BYTES :]
