from xylem.cli.serve.backoff import LONGEST_S, SETTLED_S, Backoff


def test_the_first_death_is_followed_at_once() -> None:
    assert Backoff().after(0.1) == 0.0


def test_early_deaths_wait_longer_and_longer_up_to_a_limit() -> None:
    backoff = Backoff()
    waits = [backoff.after(0.1) for _ in range(10)]
    assert waits[:5] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert waits[-1] == LONGEST_S
    assert waits == sorted(waits)


def test_a_good_life_forgives() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(SETTLED_S) == 0.0
    assert backoff.after(0.1) == 0.0
