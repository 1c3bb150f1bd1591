"""One streamed request, read off a plain socket: what came and when. The client costs as little as it can.

While the stream runs, reads are only stamped and kept; events are taken apart when it has ended.
"""

import asyncio
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools


@dataclass(frozen=True)
class Target:
    """A server of OpenAI's API. url: with or without /v1 at its end; key: for Authorization, none when empty."""

    url: str
    model: str
    key: str = ""

    def head(self, path: str, num_bytes: int) -> bytes:
        """The request line and headers of a POST to `path`, which begins behind /v1."""
        parts = urlsplit(self.url)
        folder = parts.path.rstrip("/").removesuffix("/v1")
        lines = [
            f"POST {folder}/v1{path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json",
            f"Content-Length: {num_bytes}", "Connection: close",
        ]  # fmt: skip
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        return "\r\n".join([*lines, "\r\n"]).encode()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        context = ssl.create_default_context() if secure else None
        port = parts.port or (443 if secure else 80)
        return await asyncio.open_connection(parts.hostname, port, ssl=context, limit=1 << 20)


@dataclass
class Answer:
    """What a stream gave. Times are those of time.perf_counter(), in seconds.

    arrivals_s: of each event that carried some of the answer, however many tokens it held. num_tokens: what the server
    counted, None when it does not say. error: what kind, empty when all is well.
    """

    arrivals_s: list[float] = field(default_factory=list)
    end_s: float = 0.0
    text: str = ""
    num_tokens: int | None = None
    num_prompt: int | None = None
    num_cached: int | None = None
    error: str = ""


class _Reading:
    """Callbacks of httptools: pieces of the body with the time of the read that brought them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pieces: list[tuple[float, bytes]] = []
        self.complete = False

    def on_body(self, piece: bytes) -> None:
        self.pieces.append((self.now_s, piece))

    def on_message_complete(self) -> None:
        self.complete = True


async def ask(target: Target, path: str, body: dict[str, Any], timeout_s: float) -> Answer:
    """POSTs `body`, which says stream, and reads to the end. Never raises for what the server or the network does."""
    reading = _Reading()
    try:
        async with asyncio.timeout(timeout_s):
            status = await _read(reading, target, path, json.dumps(body).encode())
    except TimeoutError:
        return Answer(end_s=time.perf_counter(), error="timeout")
    except (OSError, httptools.HttpParserError) as error:
        return Answer(end_s=time.perf_counter(), error=type(error).__name__)
    answer = Answer(end_s=reading.now_s or time.perf_counter())
    if status != 200:
        answer.error = f"HTTP {status}" if status else "closed unanswered"
        return answer
    try:
        done = _take_apart(reading.pieces, answer)
    except ValueError:
        answer.error = "not JSON"
        return answer
    if not answer.error and not (done or reading.complete):
        answer.error = "cut off"
    elif not answer.error and not answer.arrivals_s:
        answer.error = "empty"
    return answer


async def _read(reading: _Reading, target: Target, path: str, body: bytes) -> int:
    """Everything that comes, into `reading`. The HTTP status, 0 when none came."""
    reader, writer = await target.connect()
    try:
        writer.write(target.head(path, len(body)) + body)
        parser = httptools.HttpResponseParser(reading)
        while not reading.complete and (data := await reader.read(1 << 18)):
            reading.now_s = time.perf_counter()
            parser.feed_data(data)
        return int(parser.get_status_code())
    finally:
        writer.close()


def _take_apart(pieces: list[tuple[float, bytes]], answer: Answer) -> bool:
    """Events of one line of data each, as every server of this API sends them; CRLF or LF. Whether [DONE] came."""
    text: list[str] = []
    rest, done = b"", False
    for now_s, piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            if (data := line[5:].strip()) == b"[DONE]":
                done = True
            else:
                _event(json.loads(data), now_s, text, answer)
    answer.text = "".join(text)
    return done


def _event(event: dict[str, Any], now_s: float, text: list[str], answer: Answer) -> None:
    if error := event.get("error"):
        answer.error = f"in the stream: {error.get('type') or error.get('code')}"
    if usage := event.get("usage"):
        answer.num_tokens, answer.num_prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        answer.num_cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    for choice in event.get("choices", ()):
        delta = choice.get("delta") or choice
        said = delta.get("content") or delta.get("text") or ""
        silent = choice.get("finish_reason") and not answer.arrivals_s  # that there is nothing to say is news too
        if said or delta.get("reasoning_content") or delta.get("tool_calls") or silent:
            answer.arrivals_s.append(now_s)
            text.append(said)
