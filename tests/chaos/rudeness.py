"""Clients that behave badly: they leave, send nonsense, dawdle, and ask for too much."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import httpx

from tests.chaos.crowd import client
from tests.chaos.questions import CHAT, COMPLETION, MODEL

BAD: tuple[tuple[str, dict[str, Any], set[int]], ...] = (
    (CHAT, {}, {400}),
    (CHAT, {"messages": []}, {400}),
    (CHAT, {"messages": [{"role": "user", "content": "Hi"}], "temperature": -1}, {400}),
    (COMPLETION, {"prompt": "x " * 50_000}, {400}),
    (COMPLETION, {"prompt": "x", "model": "another"}, {404}),
    (COMPLETION, {"prompt": [10**9]}, {400}),
    ("/v1/nothing", {}, {404}),
)


class Rudeness:
    """Runs until it is left. `failures`: answers that a bad request should not have got."""

    def __init__(self, urls: Sequence[str], seed: int, size: int = 4) -> None:
        self.failures: list[str] = []
        self.num_done = 0
        self._urls = urls
        self._rng = Random(seed)
        self._size = size
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Rudeness":
        self._http = client()
        self._tasks = [asyncio.create_task(self._go_on()) for _ in range(self._size)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    async def _go_on(self) -> None:
        while True:
            url = self._rng.choice(self._urls)
            await self._rng.choice((self._err, self._leave, self._leave, self._dawdle))(url)
            self.num_done += 1

    async def _err(self, url: str) -> None:
        path, body, wanted = self._rng.choice(BAD)
        response = await self._http.post(url + path, json=body)
        if response.status_code not in wanted:
            self.failures.append(f"{path} {str(body)[:80]}: {response.status_code} {response.text[:200]}")

    async def _leave(self, url: str) -> None:
        body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 2000, "ignore_eos": True, "stream": True}
        async with self._http.stream("POST", url + COMPLETION, json=body) as response:
            await self._read(response, self._rng.randrange(30))

    async def _dawdle(self, url: str) -> None:
        body = {"model": MODEL, "prompt": "Once upon", "max_tokens": 30, "ignore_eos": True, "stream": True}
        async with self._http.stream("POST", url + COMPLETION, json=body) as response:
            async for _ in response.aiter_lines():
                await asyncio.sleep(0.02)

    async def _read(self, response: httpx.Response, num_lines: int) -> None:
        async for _ in response.aiter_lines():
            num_lines -= 1
            if num_lines < 0:
                return
