from xylem.client.sse import events


def test_events_are_their_data() -> None:
    lines = ["data: a", "", ": a comment", "event: x", "data:b", "data: c", "id: 7", "", "", "data: cut off"]
    assert list(events(lines)) == ["a", "b\nc"]
