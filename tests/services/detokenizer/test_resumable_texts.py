"""What is kept for a client that comes back."""

from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.services.detokenizer.resumable_texts import ResumableTexts
from xylem.shared.protocol import FinishReason, GenerationParams, SequenceStart
from xylem.shared.protocol.columns import pack

POLICY = DetokenizerPolicy(max_resumable_chars=100, max_ended_texts=20, ended_text_s=60.0)


def start_of(request: str = "r", attempt: int = 0, output: tuple[int, ...] = ()) -> SequenceStart:
    return SequenceStart(
        request, attempt, "g", "s", 7, 3, output_ids=pack(output), params=GenerationParams(resumable=True)
    )


def test_it_has_the_text_from_any_character_on_and_all_ids() -> None:
    texts = ResumableTexts(POLICY)
    texts.open_text(start_of(), 0)
    for i, text in enumerate(("ab", "", "cd")):
        texts.append_row(start_of(), i, pack([i]), text, FinishReason.NONE)
    kept = texts.find_text("r", 0.0)
    assert kept is not None
    assert [kept.text_after(n) for n in range(6)] == ["abcd", "bcd", "cd", "d", "", None]
    assert bytes(kept.token_ids) == pack([0, 1, 2])


def test_the_next_attempt_goes_on_from_what_the_gateway_has() -> None:
    texts = ResumableTexts(POLICY)
    texts.open_text(start_of(), 0)
    for i in range(3):
        texts.append_row(start_of(), i, pack([i]), f"{i}", FinishReason.NONE)
    texts.end_text("r", 1.0)
    texts.open_text(start_of(attempt=1, output=(0, 1)), 2)
    texts.append_row(start_of(), 2, pack([2]), "2", FinishReason.STOP)
    kept = texts.find_text("r", 2.0)
    assert kept is not None
    assert (kept.start.attempt, kept.text, kept.finish) == (1, "012", FinishReason.STOP)


def test_an_attempt_that_comes_from_elsewhere_begins_in_the_middle() -> None:
    texts = ResumableTexts(POLICY)
    texts.open_text(start_of(attempt=1, output=(5, 6)), 4)
    texts.append_row(start_of(), 2, pack([7]), "xy", FinishReason.NONE)
    kept = texts.find_text("r", 0.0)
    assert kept is not None
    assert (kept.text_after(3), kept.text_after(4), kept.text_after(6)) == (None, "xy", "")
    assert bytes(kept.token_ids) == pack([5, 6, 7])


def test_old_text_is_forgotten_and_ids_are_not() -> None:
    texts = ResumableTexts(POLICY)
    texts.open_text(start_of(), 0)
    for i in range(5):
        texts.append_row(start_of(), i, pack([i]), "x" * (POLICY.max_resumable_chars // 2 + 1), FinishReason.NONE)
    kept = texts.find_text("r", 0.0)
    assert kept is not None
    assert len(kept.text) <= 2 * POLICY.max_resumable_chars
    assert kept.text_after(0) is None
    assert kept.text_after(kept.first_char) == kept.text
    assert len(kept.token_ids) == 20


def test_what_rests_goes_by_age_and_by_number() -> None:
    texts = ResumableTexts(POLICY)
    for i in range(POLICY.max_ended_texts + 5):
        texts.open_text(start_of(f"r{i}"), 0)
        texts.end_text(f"r{i}", float(i) / 1000)
    assert texts.find_text("r4", 2.0) is None
    assert texts.find_text("r5", 2.0) is not None
    assert texts.find_text("r5", POLICY.ended_text_s + 1.0) is None
