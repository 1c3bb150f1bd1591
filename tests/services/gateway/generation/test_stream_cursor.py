"""What stands in the `id:` of an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xylem.services.gateway.generation.stream_cursor import ChoiceCursor, StreamCursor
from xylem.shared.runtime.errors import InvalidRequest

ANSWER = "chatcmpl-" + "0123456789abcdef" * 2

cursors = st.builds(ChoiceCursor, st.just(True), st.integers(0, 10**9 - 1), st.booleans()) | st.just(ChoiceCursor())


@given(
    st.integers(0, 10**10),
    st.integers(0, 2**63 - 1),
    st.lists(cursors, min_size=1, max_size=5),
    st.integers(0, 99),
)
def test_it_reads_what_it_wrote(created: int, seed: int, told: list[ChoiceCursor], generation: int) -> None:
    cursor = StreamCursor(ANSWER, created, seed, told, generation)
    assert StreamCursor.parse(str(cursor), len(told), "chatcmpl") == cursor


def test_what_it_looks_like() -> None:
    cursor = StreamCursor(
        ANSWER, 1763690000, 0x1B2C, [ChoiceCursor(True, 12), ChoiceCursor(), ChoiceCursor(True, 40, True)]
    )
    assert str(cursor) == f"{ANSWER}@1763690000~1b2c!12,-,40."
    cursor.begin_anew()
    assert cursor.request_id == f"{ANSWER}.r1"
    assert str(cursor) == f"{ANSWER}.r1@1763690000~1b2c!12,-,40."


def test_the_pipeline_knows_it_by_its_tenant_too() -> None:
    cursor = StreamCursor(ANSWER, 1, 1, [ChoiceCursor(True, 12)], tenant="alice")
    stolen = StreamCursor.parse(str(cursor), 1, "chatcmpl", "bob")
    assert (cursor.request_id, stolen.request_id) == (f"{ANSWER}.alice", f"{ANSWER}.bob")
    assert StreamCursor.parse(str(cursor), 1, "chatcmpl", "alice") == cursor
    assert "alice" not in str(cursor)


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
