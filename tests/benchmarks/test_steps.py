"""Rates from steps whose times are made up."""

import pytest

from benchmarks.steps import decode_rate, prefill_rate, whole_rate


def test_decoding_counts_full_steps_after_all_have_begun() -> None:
    # Four sequences of three tokens: two begin in the first step, two in the second, beside the first two's decoding.
    steps = [(1.0, 2), (2.0, 4), (2.1, 4), (2.5, 2)]
    assert decode_rate(steps, 4) == pytest.approx(4 / 0.1)
    assert prefill_rate(steps, 4, 100) == pytest.approx(400 / 2.0)
    assert whole_rate(steps) == pytest.approx(12 / 2.5)


def test_chunks_of_a_prompt_draw_nothing_until_the_last() -> None:
    assert prefill_rate([(0.5, 0), (1.0, 0), (1.5, 1)], 1, 3000) == 2000
