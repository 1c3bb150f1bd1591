"""This module holds the log probabilities of one row's tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowLogprobs:
    """Natural logarithms of probabilities. logprob: of the row's token; asked_logprobs: of the tokens asked about.

    top_ids, top_logprobs: the tokens with the highest logits, likeliest first, equals by the lower id.
    """

    logprob: float
    top_ids: list[int]
    top_logprobs: list[float]
    asked_logprobs: list[float]
