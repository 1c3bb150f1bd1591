"""This module decides which sequences take part in the next step, and with how many tokens."""

from collections.abc import Iterable

from xylem.services.executor.engine.sequence_state import SequenceState

Turn = tuple[SequenceState, int]  # a sequence and the number of its tokens to compute


def schedule_step(sequences: Iterable[SequenceState], *, page_size: int, token_budget: int) -> list[Turn]:
    """First all known tokens of each decoding sequence that fit its pages, then prompt chunks in order of admission.

    Decoding counts against the budget first and is never cut. Reading gets what is left, but at least one page of
    tokens: however many decode, every prompt gets on.
    """
    turns: list[Turn] = []
    reading: list[SequenceState] = []
    num_decoding = 0
    for sequence in sequences:
        if sequence.is_prefilling:
            reading.append(sequence)
            continue
        num_tokens = min(sequence.num_ready, sequence.num_granted_tokens(page_size))
        if num_tokens > 0:
            turns.append((sequence, num_tokens))
            num_decoding += num_tokens
    budget = max(token_budget - num_decoding, page_size)
    for sequence in reading:
        num_tokens = min(sequence.num_ready, sequence.num_granted_tokens(page_size), budget)
        if num_tokens > 0:
            turns.append((sequence, num_tokens))
            budget -= num_tokens
        if budget == 0:
            break
    return turns
