"""The head of one request, read by llhttp within bounds of its own, and checked for what frames the body."""

import re

import httptools

from xylem.services.gateway.http.request_body import ChunkedBody, RequestBody, SizedBody
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.errors import HeadTooLarge, InvalidRequest, UriTooLong, XylemError

_END = b"\r\n\r\n"
# A name, an IPv4 address or an IPv6 address in brackets, and a port (RFC 9110, 7.2).
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\])(?::[0-9]{0,5})?")


class RequestHead:
    """Made for each request. Once `complete`, it answers what uvicorn asks its parser.

    headers: their names in lower case, their values without white space around them.
    """

    def __init__(self, policy: HttpPolicy) -> None:
        self.complete = False
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self._policy = policy
        self._parser = httptools.HttpRequestParser(self)
        self._num_bytes = 0
        self._tail = b""  # the last bytes of what was fed, with which the end may begin
        self._is_end_fed = False
        self._fault: XylemError | None = None  # found in a callback, which may raise only what llhttp knows
        self._version = ""
        self._keeps_alive = False

    def feed_data(self, data: bytes) -> int:
        """Returns the number of bytes that belong to the head. Raises InvalidRequest, UriTooLong, HeadTooLarge."""
        assert not self.complete
        seen = self._tail + data
        end = seen.find(_END)
        self._is_end_fed = end >= 0
        num_taken = end + len(_END) - len(self._tail) if self._is_end_fed else len(data)
        self._tail = seen[-len(_END) + 1 :]
        room = self._policy.max_head_bytes - self._num_bytes
        self._num_bytes += num_taken
        try:
            self._parser.feed_data(data[: min(num_taken, room)])
        except httptools.HttpParserUpgrade:
            pass  # nobody here speaks anything else, so the request is read as if it had not asked
        except httptools.HttpParserError as error:
            raise self._fault or InvalidRequest(f"this is no valid HTTP request: {error}") from None
        if num_taken > room:
            raise HeadTooLarge(f"the request's head has more than {self._policy.max_head_bytes} bytes")
        if self._is_end_fed and not self.complete:
            raise InvalidRequest("this is no valid HTTP request: its head has no proper end")
        return num_taken

    def body(self) -> RequestBody:
        """Returns the reader of the body that follows. Raises InvalidRequest when it is not clear how it ends."""
        lengths = [value for name, value in self.headers if name == b"content-length"]
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if codings and lengths:
            raise InvalidRequest("a request has either Transfer-Encoding or Content-Length, not both")
        if codings:
            if self._version != "1.1" or len(codings) > 1 or codings[0].lower() != b"chunked":
                shown = b", ".join(codings).decode("latin-1")[:80]
                raise InvalidRequest(f"Transfer-Encoding {shown} is not supported; chunked is, in HTTP/1.1")
            return ChunkedBody(self._policy)
        if len(lengths) > 1:
            raise InvalidRequest("Content-Length is there more than once")
        length = lengths[0] if lengths else b"0"
        if not (length.isdigit() and len(length) < 20):
            raise InvalidRequest("Content-Length is no number of bytes")
        return SizedBody(int(length))

    # What uvicorn asks its parser.

    def get_http_version(self) -> str:
        return self._version

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def should_upgrade(self) -> bool:
        return False

    def should_keep_alive(self) -> bool:
        return self._keeps_alive

    # llhttp's callbacks.

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self._policy.max_url_bytes:
            self._fail(UriTooLong(f"the request's path has more than {self._policy.max_url_bytes} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))
        if len(self.headers) > self._policy.max_headers:
            self._fail(HeadTooLarge(f"the request has more than {self._policy.max_headers} headers"))

    def on_headers_complete(self) -> None:
        if not self._is_end_fed:
            self._fail(InvalidRequest("this is no valid HTTP request: its head has no proper end"))
        self._version = self._parser.get_http_version()
        if self._version not in ("1.0", "1.1"):
            self._fail(InvalidRequest(f"HTTP/{self._version} is not spoken here; HTTP/1.1 is"))
        self._keeps_alive = self._parser.should_keep_alive() and self._version == "1.1"
        try:
            self._check_host()
            self.url = _origin_form(self.url)
        except XylemError as error:
            self._fail(error)
        self.complete = True

    def _fail(self, error: XylemError) -> None:
        self._fault = error
        raise error

    def _check_host(self) -> None:
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1:
            raise InvalidRequest("the header Host is there more than once")
        if not hosts and self._version == "1.1":
            raise InvalidRequest("the header Host is missing")
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise InvalidRequest("the header Host is no name or address with or without a port")


def _origin_form(url: bytes) -> bytes:
    """Returns the path and query of a request's target. `//v1/models` is a path here, and never a host."""
    if url.startswith(b"//"):
        url = b"/" + url.lstrip(b"/")
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserError:
        parsed = None
    if parsed is None or not url.isascii():
        raise InvalidRequest("the request's target is no valid URL") from None
    path = parsed.path or b"/"
    return path if parsed.query is None else path + b"?" + parsed.query
