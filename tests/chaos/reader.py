"""A client that reads a stream to its end, coming back with Last-Event-ID when the connection breaks."""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.questions import MODEL, Question

DEADLINE_S = 120.0
RECONNECT_S = 0.1  # what a browser's EventSource waits, too, only shorter


class StreamFailed(Exception):
    """The client got an error, or no end in time."""


@dataclass
class Answer:
    """All that a client got. Two are equal when a person could not tell them apart."""

    texts: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    calls: dict[tuple[int, int], str] = field(default_factory=lambda: defaultdict(str))  # names and arguments
    tokens: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))  # those with log probabilities
    reasons: dict[int, str] = field(default_factory=dict)
    usage: tuple[int, int] = (0, 0)  # prompt and completion tokens


@dataclass
class Reader:
    """One stream. `news_s`: when each event came, told by `on_event`; `num_connections`: 1 when nothing broke."""

    question: Question
    urls: Sequence[str]
    http: httpx.AsyncClient
    on_event: Callable[[], None] = lambda: None
    answer: Answer = field(default_factory=Answer)
    news_s: list[float] = field(default_factory=list)
    num_connections: int = 0
    _last_id: str = ""

    async def read(self) -> Answer:
        """Raises StreamFailed."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    if await self._connect():
                        return self.answer
                    await asyncio.sleep(RECONNECT_S)
        except TimeoutError:
            raise StreamFailed(f"no end within {DEADLINE_S:g} s") from None

    def longest_pause_s(self, since_s: float, until_s: float) -> float:
        """The longest time without an event between two moments, or until the stream's end if that was before."""
        within = [at_s for at_s in self.news_s if since_s <= at_s <= until_s]
        times = [since_s, *within, *([] if self.answer.reasons else [until_s])]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    async def _connect(self) -> bool:
        """One connection; True when the stream has ended."""
        url = self.urls[self.num_connections % len(self.urls)]
        self.num_connections += 1
        options = {"include_usage": True, "event_ids": True}
        body = {"model": MODEL, **self.question.body, "stream": True, "stream_options": options}
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        try:
            async with self.http.stream("POST", url + self.question.path, json=body, headers=headers) as response:
                if response.status_code != 200:
                    if self._is_passing(response):
                        return False
                    raise StreamFailed(f"status {response.status_code}: {(await response.aread()).decode()}")
                async for line in response.aiter_lines():
                    if self._take(line):
                        return True
        except httpx.TransportError:
            pass  # its gateway has gone
        except AttributeError as error:
            if "getpeername" not in str(error):  # anyio 4 asks it of a socket that it lost while it was connecting
                raise
        return False

    def _is_passing(self, response: httpx.Response) -> bool:
        """A gateway that goes down says 503 to who comes; another one is there. Every client library tries again."""
        return response.status_code == 503 and len(self.urls) > 1

    def _take(self, line: str) -> bool:
        if line.startswith("id: "):
            self._last_id = line[4:]
        if not line.startswith("data: "):
            return False
        if line == "data: [DONE]":
            return True
        chunk: dict[str, Any] = json.loads(line[6:])
        if "error" in chunk:
            raise StreamFailed(f"error event: {chunk['error']}")
        self.news_s.append(asyncio.get_running_loop().time())
        self.on_event()
        if chunk["usage"]:
            self.answer.usage = (chunk["usage"]["prompt_tokens"], chunk["usage"]["completion_tokens"])
        for choice in chunk["choices"]:
            index = choice["index"]
            self.answer.texts[index] += choice["text"] if "text" in choice else choice["delta"].get("content") or ""
            for call in choice.get("delta", {}).get("tool_calls") or []:
                self.answer.calls[index, call["index"]] += call["function"].get("name") or ""
                self.answer.calls[index, call["index"]] += call["function"].get("arguments") or ""
            self.answer.tokens[index] += _scored(choice.get("logprobs"))
            if choice["finish_reason"]:
                if index in self.answer.reasons:
                    raise StreamFailed(f"choice {index} finished twice")
                self.answer.reasons[index] = choice["finish_reason"]
        return False


def _scored(logprobs: dict[str, Any] | None) -> list[str]:
    if logprobs is None:
        return []
    return [token["token"] for token in logprobs["content"]] if "content" in logprobs else list(logprobs["tokens"])
