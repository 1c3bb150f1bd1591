"""The statistics, against numpy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Goals, figures, percentile, spread
from benchmarks.record import Record
from benchmarks.stream import Answer

TIMES = st.lists(st.floats(0, 1e4), min_size=1, max_size=50)


def record(intended_s: float, *arrivals_s: float, error: str = "", **answer: int) -> Record:
    """Ends half a second after the last arrival."""
    end_s = (arrivals_s[-1] if arrivals_s else intended_s) + 0.5
    return Record(intended_s, Answer(list(arrivals_s), end_s, "", error=error, **answer))


@given(TIMES, st.floats(0, 100))
def test_percentiles_are_numpys(times: list[float], percent: float) -> None:
    assert percentile(sorted(times), percent) == pytest.approx(np.percentile(times, percent), rel=1e-9, abs=1e-9)


@given(TIMES)
def test_spreads_are_in_milliseconds(times: list[float]) -> None:
    of = spread(times)
    assert of is not None
    expected = [*np.percentile(np.array(times) * 1e3, [50, 90, 99]), np.mean(times) * 1e3]
    assert [of.p50, of.p90, of.p99, of.mean] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_of_nothing_there_is_no_spread() -> None:
    found = figures([record(0, error="HTTP 429"), record(0, error="timeout"), record(0, error="HTTP 429")], 2, Goals())
    assert found.errors == {"HTTP 429": 2, "timeout": 1}
    assert (found.completed, found.goodput, found.output_tokens_per_s, found.ttft_ms) == (0, 0, 0, None)


def test_latencies_count_from_the_intended_moment() -> None:
    found = figures([record(1.0, 1.25, 1.5, 2.0, num_tokens=7)], 4, Goals())
    assert found.ttft_ms is not None
    assert found.itl_ms is not None
    assert found.tpot_ms is not None
    assert found.e2e_ms is not None
    assert found.ttft_ms.p50 == 250
    assert found.itl_ms.mean == 375  # two gaps between three arrivals
    assert found.tpot_ms.p50 == 125  # the same 750 ms over six tokens
    assert found.e2e_ms.p50 == 1500
    assert (found.output_tokens, found.output_tokens_per_s, found.requests_per_s) == (7, 1.75, 0.25)


def test_goodput_is_the_share_of_all_that_keeps_both_goals() -> None:
    records = [
        record(0, 0.1, 0.2, 0.3),  # 100 ms to the first, 100 ms between
        record(0, 0.2, 0.3, 0.4),
        record(0, 0.1, 0.3, 0.5),
        record(0, 0.1),
        record(0, error="timeout"),
    ]
    assert figures(records, 1, Goals(150, 150)).goodput == 2 / 5
    assert figures(records, 1, Goals(ttft_ms=150)).goodput == 3 / 5
    assert figures(records, 1, Goals(itl_ms=150)).goodput == 3 / 5
    assert figures(records, 1, Goals()).goodput == 4 / 5


def test_the_cached_share_is_of_those_whose_server_said() -> None:
    said = [record(0, 1, num_tokens=1, num_prompt=60, num_cached=30), record(0, 1, num_prompt=40, num_cached=40)]
    silent = record(0, 1, num_tokens=1, num_prompt=1000)
    assert figures([*said, silent], 1, Goals()).cached_share == 0.7
    assert figures([silent], 1, Goals()).cached_share is None


def test_tokens_are_counted_by_events_when_the_server_does_not() -> None:
    counted, silent = record(0, 1, 2, num_tokens=9), record(0, 1, 2, 3)
    assert (figures([counted], 1, Goals()).output_tokens, figures([counted], 1, Goals()).counted) == (9, "usage")
    assert (figures([silent], 1, Goals()).output_tokens, figures([silent], 1, Goals()).counted) == (3, "events")
    assert figures([counted, silent], 1, Goals()).counted == "usage and events"
