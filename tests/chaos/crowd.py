"""Many readers at once, for as long as chaos lasts, each answer compared with its undisturbed one."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from tests.chaos.questions import QUESTIONS, Question
from tests.chaos.reader import Answer, Reader, StreamFailed


def client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=512, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=httpx.Timeout(60, connect=5), limits=limits)


async def undisturbed(urls: Sequence[str]) -> dict[str, Answer]:
    """The answers that every stream must equal."""
    async with client() as http:
        return {question.name: await Reader(question, urls, http).read() for question in QUESTIONS}


@dataclass
class Crowd:
    """`size` streams that are always running. `failures` says what went wrong, and must stay empty."""

    urls: Sequence[str]
    expected: Mapping[str, Answer]
    size: int = 32
    failures: list[str] = field(default_factory=list)
    num_ended: int = 0
    num_reconnected: int = 0
    _running: dict[int, Reader] = field(default_factory=dict)
    _leaving: bool = False
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> "Crowd":
        self._http = client()
        self._tasks = [asyncio.create_task(self._ask_on(i)) for i in range(self.size)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def leave(self) -> None:
        """Lets every stream come to its end, and begins no more."""
        self._leaving = True
        await asyncio.gather(*self._tasks)

    async def ended(self, count: int) -> None:
        """Returns when so many more streams have ended."""
        goal = self.num_ended + count
        while self.num_ended < goal:
            self._news.clear()
            await self._news.wait()

    async def reading(self) -> list[Reader]:
        """The streams in the middle of their text, once that is half of them: who waits has been promised nothing."""
        while True:
            readers = [reader for reader in self._running.values() if reader.news_s]
            if 2 * len(readers) >= self.size:
                return readers
            self._news.clear()
            await self._news.wait()

    async def moved_on(self, readers: Sequence[Reader], since_s: float) -> list[float]:
        """How long after `since_s` each of the readers had its next event, in seconds. The ended ones do not count."""
        while any(reader.news_s[-1:] <= [since_s] and reader in self._running.values() for reader in readers):
            self._news.clear()
            await self._news.wait()
        nexts = [next((s for s in reader.news_s if s > since_s), None) for reader in readers]
        return [at_s - since_s for at_s in nexts if at_s is not None]

    async def _ask_on(self, number: int) -> None:
        for turn in itertools.count():
            if self._leaving:
                return
            question = QUESTIONS[(number + turn * 7) % len(QUESTIONS)]
            await self._ask(number, question)
            self._news.set()

    async def _ask(self, number: int, question: Question) -> None:
        offset = number % len(self.urls)
        reader = Reader(question, [*self.urls[offset:], *self.urls[:offset]], self._http, self._news.set)
        self._running[number] = reader
        try:
            answer = await reader.read()
            if answer != self.expected[question.name]:
                self.failures.append(f"{question.name}: got {answer}, wanted {self.expected[question.name]}")
        except StreamFailed as failure:
            self.failures.append(f"{question.name}, after {len(reader.news_s)} events: {failure}")
        finally:
            del self._running[number]
            self.num_ended += 1
            self.num_reconnected += reader.num_connections - 1
