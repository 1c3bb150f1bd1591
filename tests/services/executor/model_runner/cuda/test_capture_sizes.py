import pytest

from xylem.services.executor.model_runner.cuda.capture_sizes import LARGEST, capture_sizes, captured_size


def test_steps_grow_with_the_size() -> None:
    sizes = capture_sizes(10_000)
    assert sizes[:7] == [1, 2, 4, 8, 16, 24, 32]
    assert [size for size in sizes if 230 < size < 300] == [232, 240, 248, 256, 272, 288]
    assert sizes[-1] == LARGEST == 512
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(("max_rows", "largest"), [(1, 1), (3, 4), (8, 8), (64, 64), (65, 72), (512, 512), (900, 512)])
def test_the_last_size_holds_what_may_run(max_rows: int, largest: int) -> None:
    assert capture_sizes(max_rows)[-1] == largest


def test_a_step_takes_the_smallest_that_holds_it() -> None:
    sizes = capture_sizes(20)
    assert [captured_size(num_rows, sizes) for num_rows in (1, 2, 3, 5, 16, 17, 24, 25)] == [
        1,
        2,
        4,
        8,
        16,
        24,
        24,
        None,
    ]
