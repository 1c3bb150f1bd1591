import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from xylem.services.detokenizer.stop_matcher import StopMatcher, TooSlow


def run(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
    text = "".join(matcher.feed_text(piece) for piece in pieces)
    return text + matcher.flush_held(), matcher.found is not None


def first_complete(stops: list[str], text: str) -> tuple[str, bool]:
    """The definition, character by character."""
    for end in range(len(text) + 1):
        starts = [end - len(stop) for stop in stops if stop and text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)], True
    return text, False


@given(
    stops=st.lists(st.text(alphabet="abc", max_size=4), max_size=4),
    pieces=st.lists(st.text(alphabet="abc", max_size=5), max_size=12),
)
def test_any_split_gives_what_the_definition_gives(stops: list[str], pieces: list[str]) -> None:
    assert run(stops, pieces) == first_complete(stops, "".join(pieces))


@given(
    stops=st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3), text=st.text(alphabet="ab", max_size=20)
)
def test_no_more_is_held_back_than_may_become_a_stop_string(stops: list[str], text: str) -> None:
    matcher = StopMatcher(stops)
    given_out = "".join(matcher.feed_text(char) for char in text)
    if not matcher.found:
        held = text[len(given_out) :]
        assert not held or any(stop.startswith(held) and stop != held for stop in stops)


@pytest.mark.parametrize(
    ("stops", "pieces", "text", "found"),
    [
        (["END"], ["some E", "N", "D more"], "some ", True),
        (["END"], ["some E", "N"], "some EN", False),
        (["END"], ["some E", "NX", "END"], "some ENX", True),
        (["\n\n"], ["a\n", "b\n", "\nc"], "a\nb", True),
        (["abcd", "bc"], ["abcd"], "a", True),  # "bc" is complete first
        (["abc", "bc"], ["xabc"], "x", True),  # both with the same character: the longer begins first
        ([], ["a", "b"], "ab", False),
        ([""], ["a"], "a", False),
    ],
)
def test_cases(stops: list[str], pieces: list[str], text: str, found: bool) -> None:
    assert run(stops, pieces) == (text, found)


def test_nothing_comes_after_a_match() -> None:
    matcher = StopMatcher(["x"])
    assert matcher.feed_text("ax") == "a"
    assert matcher.feed_text("b") == ""
    assert matcher.flush_held() == ""


def run_patterns(patterns: list[str], pieces: list[str], stops: list[str] | None = None) -> tuple[str, str | None]:
    matcher = StopMatcher(stops or [], patterns)
    text = "".join(matcher.feed_text(piece) for piece in pieces)
    return text + matcher.flush_held(), matcher.found


def first_match(patterns: list[str], text: str) -> tuple[str, str | None]:
    """The definition, character by character."""
    for end in range(1, len(text) + 1):
        starts = [m.start() for p in patterns if (m := regex.compile(p).search(text, 0, end)) and m.group()]
        if starts:
            return text[: min(starts)], text[min(starts) : end]
    return text, None


@given(
    patterns=st.lists(st.sampled_from(["a+b", "ba{2}", "[bc]a(?=c)", "^ab", r"c\b", "(?<=b)c", "abc|cb"]), max_size=3),
    pieces=st.lists(st.text(alphabet="abc ", max_size=4), max_size=10),
)
def test_patterns_do_not_depend_on_the_split(patterns: list[str], pieces: list[str]) -> None:
    text = "".join(pieces)
    assert run_patterns(patterns, pieces) == run_patterns(patterns, list(text)) == first_match(patterns, text)


def test_patterns_and_strings_together() -> None:
    assert run_patterns([r"\d+\."], ["one 1", "2", ". two END"], ["END"]) == ("one ", "12.")
    assert run_patterns([r"\d+\."], ["one 12 END", " 3."], ["END"]) == ("one 12 ", "END")


def test_the_stop_may_be_kept() -> None:
    matcher = StopMatcher(["END"], [r"\d\."], keep=True)
    assert matcher.feed_text("a 1") + matcher.feed_text(". b") == "a 1."
    assert matcher.found == "1."


def test_a_hostile_pattern_is_given_up() -> None:
    matcher = StopMatcher([], [r"(a|aa)+$x"])
    with pytest.raises(TooSlow, match="takes too long"):
        for _ in range(64):
            matcher.feed_text("a")
