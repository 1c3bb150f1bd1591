"""This module holds the log probabilities of one row's tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import wraps
from math import inf
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class RowLogprobs:
    """Natural logarithms of probabilities. logprob: of the row's token; asked_logprobs: of the tokens asked about.

    top_ids, top_logprobs: the tokens with the highest logits, likeliest first, equals by the lower id.
    """

    logprob: float
    top_ids: list[int]
    top_logprobs: list[float]
    asked_logprobs: list[float]


class Score(Protocol):
    """Log probabilities, to 1e-5, from the softmax of logits [B, V] float32: one RowLogprobs per row.

    tokens: the token of each row whose log probability is wanted; num_top: how many of the likeliest; asked: further
    tokens by id. A token outside the vocabulary has minus infinity. What the model says is told from its own logits:
    `adjust` changes them in place, so who wants both scores a copy from before.
    """

    def __call__(
        self, logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
    ) -> list[RowLogprobs]: ...


def bounded(compute: Score) -> Score:
    """Returns `compute` with minus infinity for tokens that the vocabulary does not have.

    An index would find another token's number, or stop the whole batch.
    """

    @wraps(compute)
    def computed(
        logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
    ) -> list[RowLogprobs]:
        known = range(logits.shape[1])
        if all(token in known for ids in (tokens, *asked) for token in ids):
            return compute(logits, tokens, num_top, asked)
        safe = [[token if token in known else 0 for token in ids] for ids in asked]
        rows = compute(logits, [token if token in known else 0 for token in tokens], num_top, safe)
        return [_with_unknown(row, known, token, ids) for row, token, ids in zip(rows, tokens, asked, strict=True)]

    return computed


def _with_unknown(row: RowLogprobs, known: range, token: int, asked: Sequence[int]) -> RowLogprobs:
    return replace(
        row,
        logprob=row.logprob if token in known else -inf,
        asked_logprobs=[
            value if each in known else -inf for value, each in zip(row.asked_logprobs, asked, strict=True)
        ],
    )
