"""The head of a request: what is taken, what is refused, and when."""

import dataclasses

import pytest

from xylem.services.gateway.http.request_body import ChunkedBody, SizedBody
from xylem.services.gateway.http.request_head import RequestHead
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import HeadTooLarge, InvalidRequest, UriTooLong, XylemError

POLICY = HttpPolicy()


def head_of(data: bytes, policy: HttpPolicy = POLICY, packet_bytes: int = 1 << 16) -> tuple[RequestHead, bytes]:
    """The head, and what it left behind."""
    head = RequestHead(policy)
    position = 0
    while not head.complete and position < len(data):
        position += head.feed_data(data[position : position + packet_bytes])
    return head, data[position:]


def request(*lines: bytes, first: bytes = b"POST /a HTTP/1.1", host: bytes = b"host: h") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


@pytest.mark.parametrize("packet_bytes", [1, 2, 3, 5, 1000])
def test_a_head_ends_where_it_ends_however_it_is_cut(packet_bytes: int) -> None:
    head, rest = head_of(request(b"A:  b \t", b"c:") + b"rest", packet_bytes=packet_bytes)
    assert head.complete
    assert b"rest".endswith(rest)  # of the packet; the others have not come
    assert head.headers == [(b"host", b"h"), (b"a", b"b"), (b"c", b"")]
    assert (head.get_method(), head.get_http_version(), head.should_keep_alive()) == (b"POST", "1.1", True)


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (b"/a?b=//c", b"/a?b=//c"),
        (b"//v1/models", b"/v1/models"),
        (b"///v1/models?x", b"/v1/models?x"),
        (b"http://other:1/v1/models?x=y", b"/v1/models?x=y"),
        (b"http://other", b"/"),
    ],
)
def test_the_target_is_a_path(target: bytes, url: bytes) -> None:
    assert head_of(request(first=b"GET %b HTTP/1.1" % target))[0].url == url


@pytest.mark.parametrize(
    "host", [b"a", b"localhost:8000", b"A.b-c_d.example", b"127.0.0.1", b"[::1]:80", b"[fe80::1%25eth0]", b"a:"]
)
def test_a_host_may_be(host: bytes) -> None:
    assert head_of(request(host=b"Host: " + host))[0].complete


@pytest.mark.parametrize(
    "data",
    [
        request(host=b""),
        request(b"host: h"),
        request(b"Host: other"),
        request(b"host: h", first=b"GET / HTTP/1.0"),
        request(host=b"host:"),
        request(host=b"host: a b"),
        request(host=b"host: a, b"),
        request(host=b"host: a/b"),
        request(host=b"host: user@a"),
        request(host=b"host: [::1"),
        request(host=b"host: a:port"),
        request(first=b"GET / HTTP/2.0"),
        request(first=b"GET / HTTP/0.9"),
        request(first=b"GET /"),
        request(first=b"GET /\xff HTTP/1.1"),
        request(first=b"GET nowhere HTTP/1.1"),
        b"GET / HTTP/1.1\nhost: h\n\n",
        b"GET / HTTP/1.1\r\nhost: h\n\r\n\r\n",
        request(b"a : b"),
        request(b"a: b", b" folded"),
        request(b"a: b\x00c"),
    ],
)
@pytest.mark.parametrize("packet_bytes", [1, 1000])
def test_what_is_no_head_is_refused(data: bytes, packet_bytes: int) -> None:
    with pytest.raises(InvalidRequest):
        head_of(data, packet_bytes=packet_bytes)


def test_http_1_0_needs_no_host() -> None:
    head, _ = head_of(request(first=b"GET / HTTP/1.0", host=b""))
    assert (head.complete, head.should_keep_alive()) == (True, False)


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ([], SizedBody),
        ([b"content-length: 5"], SizedBody),
        ([b"Content-Length: 0"], SizedBody),
        ([b"transfer-encoding: chunked"], ChunkedBody),
        ([b"Transfer-Encoding: Chunked"], ChunkedBody),
    ],
)
def test_the_head_says_how_its_body_ends(headers: list[bytes], kind: type) -> None:
    assert type(head_of(request(*headers))[0].body()) is kind


@pytest.mark.parametrize(
    "headers",
    [
        [b"content-length: 5", b"content-length: 5"],
        [b"content-length: 5", b"content-length: 6"],
        [b"content-length: 5, 5"],
        [b"content-length: +5"],
        [b"content-length: -5"],
        [b"content-length: 0x5"],
        [b"content-length:"],
        [b"content-length: " + b"9" * 30],
        [b"content-length: 5", b"transfer-encoding: chunked"],
        [b"transfer-encoding: chunked", b"content-length: 5"],
        [b"transfer-encoding: gzip"],
        [b"transfer-encoding: gzip, chunked"],
        [b"transfer-encoding: chunked, gzip"],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: chunked", b"transfer-encoding: chunked"],
        [b"transfer-encoding: identity"],
        [b"transfer-encoding: xchunked"],
        [b"transfer-encoding:"],
    ],
)
def test_a_body_of_which_it_is_not_clear_how_it_ends_is_refused(headers: list[bytes]) -> None:
    with pytest.raises(InvalidRequest):
        head_of(request(*headers))[0].body()


def test_chunks_are_of_http_1_1() -> None:
    with pytest.raises(InvalidRequest):
        head_of(request(b"transfer-encoding: chunked", first=b"POST / HTTP/1.0"))[0].body()


@pytest.mark.parametrize(
    ("start", "part", "error"),
    [
        (b"GET /", b"a", UriTooLong),
        (b"GET /?", b"a=b&", UriTooLong),
        (b"GET / HTTP/1.1\r\n", b"a", HeadTooLarge),
        (b"GET / HTTP/1.1\r\na: ", b"b", HeadTooLarge),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n", HeadTooLarge),
        (b"GET / HTTP/1.1\r\n", b"a: " + b"b" * 1000 + b"\r\n", HeadTooLarge),
    ],
)
@pytest.mark.parametrize("packet_bytes", [7, 4096])
def test_no_part_goes_on_without_end(start: bytes, part: bytes, error: type[XylemError], packet_bytes: int) -> None:
    policy = dataclasses.replace(POLICY, max_head_bytes=8000, max_url_bytes=1000, max_headers=20)
    head, data, position = RequestHead(policy), start + part * 20_000, 0
    with pytest.raises(error):
        while True:
            position += head.feed_data(data[position : position + packet_bytes])
    assert position <= 8000
