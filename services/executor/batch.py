"""Who takes part in the next step, and with how many tokens."""

from collections.abc import Iterable

from services.executor.running import Running

Turn = tuple[Running, int]  # a sequence and the number of its known tokens to compute


def select(sequences: Iterable[Running], *, page_size: int, token_budget: int) -> list[Turn]:
    """One token for every decoding sequence with a granted page for it, then prompt chunks, first come first served.

    Decoding counts against the budget first and is never cut. Reading gets what is left, but at least one page of
    tokens: however many decode, every prompt gets on.
    """
    turns: list[Turn] = []
    reading: list[Running] = []
    for sequence in sequences:
        if sequence.is_reading:
            reading.append(sequence)
        elif sequence.room(page_size) > 0:
            turns.append((sequence, 1))
    budget = max(token_budget - len(turns), page_size)
    for sequence in reading:
        num_tokens = min(sequence.prompt_len - sequence.length, sequence.room(page_size), budget)
        if num_tokens > 0:
            turns.append((sequence, num_tokens))
            budget -= num_tokens
        if budget == 0:
            break
    return turns
