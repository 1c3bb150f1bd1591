"""Counts of tokens against a Counter, and views that outlive growth."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xylem.kernels.token_counts import SMALLEST, TokenCounts

tokens = st.lists(st.integers(min_value=0, max_value=60), max_size=200)


@given(first=tokens, later=tokens)
def test_counts_are_those_of_a_counter(first: list[int], later: list[int]) -> None:
    history = TokenCounts(first)
    for token_id in later:
        history.add_token(token_id)
    expected = Counter(first + later)
    assert history.ids.dtype == np.int64
    assert history.counts.dtype == np.float32
    # In order of appearance: the columns fit each other.
    assert dict(zip(history.ids.tolist(), history.counts.tolist(), strict=True)) == expected
    assert history.ids.tolist() == list(expected)
    assert len(history) == len(expected)


def test_columns_are_views() -> None:
    history = TokenCounts([5, 6, 5])
    ids, counts = history.ids, history.counts
    assert np.shares_memory(ids, history.ids)
    history.add_token(5)
    assert counts.tolist() == [3.0, 1.0]
    assert np.shares_memory(counts, history.counts)


def test_a_view_does_not_keep_the_columns_from_growing() -> None:
    history = TokenCounts(range(SMALLEST))
    ids = history.ids
    history.add_token(SMALLEST)
    assert ids.tolist() == list(range(SMALLEST))
    assert history.ids.tolist() == list(range(SMALLEST + 1))
