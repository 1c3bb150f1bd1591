"""Rates from the steps of one order (peers/protocol.py), counted alike for every engine."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

from benchmarks.peers.protocol import Step


def prefill_rate(steps: Sequence[Step], num_sequences: int, num_prompt: int) -> float:
    """Prompt tokens a second until every sequence has its first token."""
    return num_sequences * num_prompt / steps[_begun(steps, num_sequences)][0]


def decode_rate(steps: Sequence[Step], num_sequences: int) -> float:
    """Tokens a second in the steps in which every sequence drew one, after all have begun."""
    decoding = list(pairwise(steps[_begun(steps, num_sequences) :]))
    full = [(now_s - before_s, count) for (before_s, _), (now_s, count) in decoding if count == num_sequences]
    return sum(count for _, count in full) / sum(taken_s for taken_s, _ in full)


def whole_rate(steps: Sequence[Step]) -> float:
    """Tokens drawn a second, from the order to the last end."""
    return sum(count for _, count in steps) / steps[-1][0]


def _begun(steps: Sequence[Step], num_sequences: int) -> int:
    """The first step after which as many tokens are there as sequences. Prompts are of one length, so all have begun
    but for those that were read last; what these draw too late makes a step that is not full, and not counted."""
    drawn = accumulate(count for _, count in steps)
    return next(i for i, total in enumerate(drawn) if total >= num_sequences)
