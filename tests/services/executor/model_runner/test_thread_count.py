"""The number of torch threads, with steps whose duration the test decides."""

from collections.abc import Iterator

import pytest
import torch

from xylem.services.executor.model_runner import thread_count


@pytest.fixture(autouse=True)
def eight_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("durations_s", "best"),
    [
        ({1: 8.0, 2: 4.0, 4: 2.0, 8: 1.0}, 8),
        ({1: 8.0, 2: 4.0, 4: 3.9, 8: 0.1}, 2),
        ({1: 1.0, 2: 0.9, 4: 0.1, 8: 0.1}, 1),
        ({1: 1.0, 2: 40.0, 4: 40.0, 8: 40.0}, 1),
    ],
)
def test_more_threads_only_when_they_are_worth_it(
    monkeypatch: pytest.MonkeyPatch, durations_s: dict[int, float], best: int
) -> None:
    now_s = 0.0

    def step() -> None:
        nonlocal now_s
        now_s += durations_s[torch.get_num_threads()]

    monkeypatch.setattr("xylem.services.executor.model_runner.thread_count.time.perf_counter", lambda: now_s)
    found = thread_count.choose_threads(step, claim_work=False)
    assert (found.short, found.long) == (best, best)
    assert torch.get_num_threads() == best


def test_long_steps_take_all_cores_where_threads_claim_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_count, "_duration_s", lambda step, number: 1.0)
    found = thread_count.choose_threads(lambda: None, claim_work=True)
    taken = []
    for num_tokens in (thread_count.LONG_STEP_TOKENS, thread_count.LONG_STEP_TOKENS - 1, 1, 1000):
        found.set_for(num_tokens)
        taken.append(torch.get_num_threads())
    assert taken == [8, 1, 1, 8]


def test_an_odd_number_of_cores_is_tried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(6)
    tried: list[int] = []

    def duration_s(_: object, number: int) -> float:
        tried.append(number)
        return 1.0 / number

    monkeypatch.setattr(thread_count, "_duration_s", duration_s)
    assert thread_count.choose_threads(lambda: None, claim_work=False).short == 6
    assert tried == [1, 2, 4, 6]
