"""Log probabilities joined with the texts and positions of their tokens."""

from array import array
from collections.abc import Callable, Sequence

from xylem.shared.protocol import Logprobs, TokenLogprobs
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack

Spell = Callable[[int], bytes]


def token_logprobs(
    logprobs: Logprobs, token_ids: "array[int]", ends: Sequence[int], start: int, asked_ids: bytes, spell: Spell
) -> TokenLogprobs:
    """Joins the log probabilities of a row, or of a prompt, with the bytes and positions of its tokens.

    ends: number of characters by the end of each token; start: those before the first; asked_ids: column of the tokens
    whose log probabilities the client asked for by id; spell: returns the bytes of a token.
    """
    return TokenLogprobs(
        scores=logprobs,
        token_ids=pack(token_ids),
        tokens=tuple(map(spell, token_ids)),
        ends=pack(ends),
        top_tokens=tuple(map(spell, unpack(logprobs.top_ids))),
        asked_tokens=tuple(map(spell, unpack(asked_ids))),
        start=start,
    )


def skip_first(logprobs: Logprobs, num_skipped: int, num_tokens: int) -> Logprobs:
    """Cuts the log probabilities of `num_tokens` tokens to those after the first `num_skipped`."""
    if not num_skipped:
        return logprobs
    columns = (logprobs.logprobs, logprobs.top_ids, logprobs.top_logprobs, logprobs.asked_logprobs)
    return Logprobs(*(_cut(column, num_skipped, num_tokens) for column in columns))


def _cut(column: bytes, num_skipped: int, num_tokens: int) -> bytes:
    # Each token has the same number of values in a column.
    return column[num_skipped * (len(column) // ITEM_BYTES // num_tokens) * ITEM_BYTES :]
