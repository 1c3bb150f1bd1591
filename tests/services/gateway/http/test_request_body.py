"""The bodies of requests, cut out of what comes: the same content however it is cut, and a bound on all the rest."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xylem.services.gateway.http.request_body import ChunkedBody, RequestBody, SizedBody
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import HeadTooLarge, InvalidRequest, XylemError

POLICY = HttpPolicy()


def chunked(contents: list[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    chunks = [b"%x%b\r\n%b\r\n" % (len(each), extension, each) for each in contents]
    return b"".join([*chunks, b"0", extension, b"\r\n", trailers, b"\r\n"])


def read(body: RequestBody, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The content, and what is left behind the end of the body."""
    content = b""
    for i, piece in enumerate(pieces):
        while piece:
            if body.complete:
                return content, piece + b"".join(pieces[i + 1 :])
            part = body.feed_data(piece)
            content, piece = content + part.content, piece[part.num_taken :]
    return content, b""


@given(
    contents=st.lists(st.binary(min_size=1, max_size=20), max_size=8),
    extension=st.sampled_from([b"", b";a", b';a="b;c"', b" ;a=b"]),
    trailers=st.sampled_from([b"", b"a: b\r\n", b"digest:\r\nx-y: \xff z\r\n"]),
    cuts=st.lists(st.integers(0, 300), max_size=12),
    per_turn=st.integers(1, 4),
)
def test_however_a_chunked_body_is_cut_its_content_is_the_same(
    contents: list[bytes], extension: bytes, trailers: bytes, cuts: list[int], per_turn: int
) -> None:
    whole = chunked(contents, extension, trailers) + b"GET / "
    borders = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[a:b] for a, b in itertools.pairwise(borders)]
    body = ChunkedBody(dataclasses.replace(POLICY, max_chunks_per_turn=per_turn))
    assert read(body, pieces) == (b"".join(contents), b"GET / ")
    assert body.complete


@pytest.mark.parametrize("num_bytes", [0, 1, 5])
def test_a_sized_body_ends_after_its_bytes(num_bytes: int) -> None:
    body = SizedBody(num_bytes)
    assert body.complete == (num_bytes == 0)
    assert read(body, [b"ab", b"cdefg"]) == (b"abcdefg"[:num_bytes], b"abcdefg"[num_bytes:])


@pytest.mark.parametrize(
    "bad",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1 \r\n",
        b" 1\r\n",
        b"1\n",
        b"1" * 17 + b"\r\n",
        b"1;\x00\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n : no name\r\n\r\n",
        b"0\r\na b: c\r\n\r\n",
        b"0\r\na: b\n\r\n",
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_is_no_chunk_or_trailer_is_refused(bad: bytes, one_by_one: bool) -> None:
    pieces = [bytes([each]) for each in bad] if one_by_one else [bad]
    with pytest.raises(InvalidRequest):
        read(ChunkedBody(POLICY), pieces)


@pytest.mark.parametrize(
    ("start", "part", "limit", "error"),
    [
        (b"", b"0", "max_chunk_line_bytes", InvalidRequest),
        (b"1;", b"a=b;", "max_chunk_line_bytes", InvalidRequest),
        (b"", b"1\r\na\r\n", "max_framing_bytes", InvalidRequest),
        (b"0\r\n", b"a", "max_trailer_bytes", HeadTooLarge),
        (b"0\r\n", b"a:" + b"b" * 500 + b"\r\n", "max_trailer_bytes", HeadTooLarge),
        (b"0\r\na: ", b"b", "max_trailer_bytes", HeadTooLarge),
        (b"0\r\n", b"a: b\r\n", "max_trailers", HeadTooLarge),
    ],
)
@pytest.mark.parametrize("packet_bytes", [1, 1 << 16])
def test_no_part_goes_on_without_end(
    start: bytes, part: bytes, limit: str, error: type[XylemError], packet_bytes: int
) -> None:
    """It is refused as soon as the bound is passed, whatever still comes: no more bytes than that are looked at."""
    policy = dataclasses.replace(POLICY, max_framing_bytes=20_000)
    body = ChunkedBody(policy)
    num_parts = 4 * getattr(policy, limit)
    endless = start + part * num_parts
    num_taken = 0
    with pytest.raises(error):
        while num_taken < len(endless):
            num_taken += body.feed_data(endless[num_taken : num_taken + packet_bytes]).num_taken
    assert num_taken < len(endless) / 2


@pytest.mark.parametrize("unit", [b"1\r\na\r\n", b"5;ext=1\r\nhello\r\n"])
def test_a_turn_reads_a_bounded_number_of_chunks(unit: bytes) -> None:
    policy = dataclasses.replace(POLICY, max_chunks_per_turn=10)
    data = unit * 1000
    part = ChunkedBody(policy).feed_data(data)
    assert len(unit) * 5 <= part.num_taken <= len(unit) * 10


def test_chunks_of_usual_sizes_are_read_to_the_end() -> None:
    content = [b"x" * 512] * (32 << 11)  # 32 MiB, the largest body, as old clients cut it
    body = ChunkedBody(POLICY)
    num_bytes, data = 0, chunked(content)
    for i in range(0, len(data), 1 << 18):
        piece = data[i : i + (1 << 18)]
        while piece:
            part = body.feed_data(piece)
            num_bytes, piece = num_bytes + len(part.content), piece[part.num_taken :]
    assert (num_bytes, body.complete) == (32 << 20, True)
