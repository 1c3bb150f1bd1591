"""However a byte stream is cut, the frames are the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.nats_frames import Frames

STREAM = (
    b'CONNECT {"name":"x"}\r\nSUB a.b 1\r\nPUB a.b 5\r\nhello\r\nPING\r\nPUB a.c _INBOX.1 4\r\n\r\n\r\n\r\n'
    b"HPUB a.d 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\nPUB a.e 0\r\n\r\n"
)
FRAMES = [
    (b"CONNECT", ""),
    (b"SUB", ""),
    (b"PUB", "a.b"),
    (b"PING", ""),
    (b"PUB", "a.c"),
    (b"HPUB", "a.d"),
    (b"PONG", ""),
    (b"PUB", "a.e"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(STREAM)]
    frames = Frames()
    found = [frame for start, end in pairwise(borders) for frame in frames.feed(STREAM[start:end])]
    assert [(frame.verb, frame.subject) for frame in found] == FRAMES
    assert b"".join(frame.data for frame in found) == STREAM
