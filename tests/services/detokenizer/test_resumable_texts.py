"""What is kept for a client that comes back."""

from xylem.services.detokenizer.resumable_texts import KEPT_S, MAX_CHARS, MAX_RESTING, ResumableTexts
from xylem.shared.protocol import FinishReason, GenerationParams, SequenceStart
from xylem.shared.protocol.columns import pack


def start_of(request: str = "r", attempt: int = 0, output: tuple[int, ...] = ()) -> SequenceStart:
    return SequenceStart(
        request, attempt, "g", "s", 7, 3, output_ids=pack(output), params=GenerationParams(resumable=True)
    )


def test_it_has_the_text_from_any_character_on_and_all_ids() -> None:
    tails = ResumableTexts()
    tails.open(start_of(), 0)
    for i, text in enumerate(("ab", "", "cd")):
        tails.add(start_of(), i, pack([i]), text, FinishReason.NONE)
    tail = tails.find("r", 0.0)
    assert tail is not None
    assert [tail.since(n) for n in range(6)] == ["abcd", "bcd", "cd", "d", "", None]
    assert bytes(tail.token_ids) == pack([0, 1, 2])


def test_the_next_attempt_goes_on_from_what_the_gateway_has() -> None:
    tails = ResumableTexts()
    tails.open(start_of(), 0)
    for i in range(3):
        tails.add(start_of(), i, pack([i]), f"{i}", FinishReason.NONE)
    tails.rest("r", 1.0)
    tails.open(start_of(attempt=1, output=(0, 1)), 2)
    tails.add(start_of(), 2, pack([2]), "2", FinishReason.STOP)
    tail = tails.find("r", 2.0)
    assert tail is not None
    assert (tail.start.attempt, tail.text, tail.finish) == (1, "012", FinishReason.STOP)


def test_an_attempt_that_comes_from_elsewhere_begins_in_the_middle() -> None:
    tails = ResumableTexts()
    tails.open(start_of(attempt=1, output=(5, 6)), 4)
    tails.add(start_of(), 2, pack([7]), "xy", FinishReason.NONE)
    tail = tails.find("r", 0.0)
    assert tail is not None
    assert (tail.since(3), tail.since(4), tail.since(6)) == (None, "xy", "")
    assert bytes(tail.token_ids) == pack([5, 6, 7])


def test_old_text_is_forgotten_and_ids_are_not() -> None:
    tails = ResumableTexts()
    tails.open(start_of(), 0)
    for i in range(5):
        tails.add(start_of(), i, pack([i]), "x" * (MAX_CHARS // 2 + 1), FinishReason.NONE)
    tail = tails.find("r", 0.0)
    assert tail is not None
    assert len(tail.text) <= 2 * MAX_CHARS
    assert tail.since(0) is None
    assert tail.since(tail.first_char) == tail.text
    assert len(tail.token_ids) == 20


def test_what_rests_goes_by_age_and_by_number() -> None:
    tails = ResumableTexts()
    for i in range(MAX_RESTING + 5):
        tails.open(start_of(f"r{i}"), 0)
        tails.rest(f"r{i}", float(i) / 1000)
    assert tails.find("r4", 2.0) is None
    assert tails.find("r5", 2.0) is not None
    assert tails.find("r5", KEPT_S + 1.0) is None
