"""Scores leave with the text of their tokens, whenever that is told."""

from hypothesis import given
from hypothesis import strategies as st

from xylem.services.gateway.generation.logprobs import LogprobQueue, LogprobToken


def tokens(widths: list[int]) -> list[LogprobToken]:
    made, at = [], 0
    for token_id, width in enumerate(widths):
        made.append(LogprobToken(token_id, b"", -1.0, at, at + width))
        at += width
    return made


@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_what_a_stream_has_told_is_left_out_when_it_is_told_anew(widths: list[int], data: st.DataObject) -> None:
    """However much was there when text up to a character was told, the rest is the same."""
    made = tokens(widths)
    num_chars = sum(widths)
    cut = data.draw(st.integers(0, num_chars))
    first = next((i for i, token in enumerate(made) if token.end >= cut and token.end > 0), len(made) - 1)
    early = data.draw(st.integers(first + 1, max(first + 1, len(made))))
    told = LogprobQueue()
    told.add_tokens(made[:early])
    before = told.take_tokens(cut)
    anew = LogprobQueue()
    anew.add_tokens(made)
    assert anew.take_tokens(cut) == before
    rest = anew.take_tokens(num_chars) + anew.take_rest(num_chars)
    assert before + rest == made


def test_tokens_that_are_cut_off_are_not_told() -> None:
    queue = LogprobQueue()
    queue.add_tokens(tokens([2, 3, 1, 0]))
    assert [token.token_id for token in queue.take_tokens(3)] == [0]
    assert [token.token_id for token in queue.take_rest(3)] == [1, 3]
