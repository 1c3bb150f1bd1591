"""What stands in the `id:` of an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xylem.services.gateway.generation.stream_cursor import ChoiceCursor, StreamCursor
from xylem.shared.runtime.errors import InvalidRequest

ANSWER = "chatcmpl-" + "0123456789abcdef" * 2

places = st.builds(ChoiceCursor, st.just(True), st.integers(0, 10**9 - 1), st.booleans()) | st.just(ChoiceCursor())


@given(st.integers(0, 10**10), st.integers(0, 2**63 - 1), st.lists(places, min_size=1, max_size=5), st.integers(0, 99))
def test_it_reads_what_it_wrote(created: int, seed: int, told: list[ChoiceCursor], generation: int) -> None:
    bookmark = StreamCursor(ANSWER, created, seed, told, generation)
    assert StreamCursor.parse(str(bookmark), len(told), "chatcmpl") == bookmark


def test_what_it_looks_like() -> None:
    bookmark = StreamCursor(
        ANSWER, 1763690000, 0x1B2C, [ChoiceCursor(True, 12), ChoiceCursor(), ChoiceCursor(True, 40, True)]
    )
    assert str(bookmark) == f"{ANSWER}@1763690000~1b2c!12,-,40."
    bookmark.begin_anew()
    assert bookmark.request_id == f"{ANSWER}.r1"
    assert str(bookmark) == f"{ANSWER}.r1@1763690000~1b2c!12,-,40."


def test_the_pipeline_knows_it_by_its_tenant_too() -> None:
    bookmark = StreamCursor(ANSWER, 1, 1, [ChoiceCursor(True, 12)], tenant="alice")
    stolen = StreamCursor.parse(str(bookmark), 1, "chatcmpl", "bob")
    assert (bookmark.request_id, stolen.request_id) == (f"{ANSWER}.alice", f"{ANSWER}.bob")
    assert StreamCursor.parse(str(bookmark), 1, "chatcmpl", "alice") == bookmark
    assert "alice" not in str(bookmark)


@pytest.mark.parametrize(
    "text",
    ["", "x", f"{ANSWER}@1~1!", f"{ANSWER}@1~1!1,2", f"{ANSWER}@1~1!-1", f"{ANSWER}@1~1!" + "9" * 99_999, "*.>@1~1!1"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        StreamCursor.parse(text, 1, "chatcmpl")
    assert error.value.param == "Last-Event-ID"


def test_it_belongs_to_one_endpoint() -> None:
    with pytest.raises(InvalidRequest):
        StreamCursor.parse(f"{ANSWER}@1~1!1", 1, "cmpl")
