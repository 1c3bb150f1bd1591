"""The forecast against a replay of what it forecasts, page by page."""

from hypothesis import given
from hypothesis import strategies as st

from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.memory_forecast import MemoryForecast
from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.shared.protocol import Capacity


def peak(rows: list[tuple[int, int]]) -> int:
    """The greatest need while all grow by a page at a time and leave when they are done."""
    need, alive = 0, rows
    for grown in range(max(growth for _, growth in rows) + 1):
        alive = [row for row in alive if row[1] >= grown]
        need = max(need, sum(held + grown for held, _ in alive))
    return need


ROWS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 12)), min_size=1, max_size=6)


@given(ROWS, ROWS)
def test_the_peak_is_that_of_the_replay_whatever_was_noted_before(
    rows: list[tuple[int, int]], gone: list[tuple[int, int]]
) -> None:
    forecast = MemoryForecast(SchedulerPolicy(grant_ahead_tokens=1))
    for number, row in enumerate(gone):
        forecast.set_sequence(number, *row)
    for number, row in enumerate(rows[1:]):
        forecast.set_sequence(number, *row)
    for number in range(len(rows) - 1, len(gone)):
        forecast.remove_sequence(number)
    assert forecast.peak_pages(*rows[0]) == peak(rows)
    assert forecast.num_held_pages == sum(held for held, _ in rows[1:])


def test_looking_ahead_takes_as_long_as_there_are_different_growths() -> None:
    forecast = MemoryForecast(SchedulerPolicy(grant_ahead_tokens=1))
    for number in range(1000):
        forecast.set_sequence(number, 1, number % 3)
    assert forecast.peak_pages(1, 1) == peak([(1, number % 3) for number in range(1000)] + [(1, 1)])
    assert len(forecast.growths) == 3
    for number in range(1000):
        forecast.remove_sequence(number)
    assert not forecast.growths


def test_alone_everything_fits() -> None:
    assert ExecutorState("s", "e", 1, Capacity(4, 1, 8, 64), 1, SchedulerPolicy(grant_ahead_tokens=1)).has_memory_for(
        4, 100
    )


def test_the_share_of_max_tokens_is_learned() -> None:
    forecast = MemoryForecast(SchedulerPolicy(grant_ahead_tokens=4))
    assert forecast.expected_tokens(100, 0) == 50
    assert forecast.expected_tokens(100, 60) == 4  # longer than expected: one more grant
    assert forecast.expected_tokens(100, 98) == 2
    for _ in range(8):
        forecast.learn_from_end(allowed=21, used=0)  # they end without a single token
    assert forecast.expected_tokens(100, 0) < 40
    forecast.learn_from_retraction()
    assert forecast.expected_tokens(100, 0) > 40
