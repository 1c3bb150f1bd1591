"""Requests as a client makes them, many at a time."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.patience import PATIENCE_S
from tests.serving import Served

MODEL = "demonstration"
TIMEOUT_S = 120

PROMPTS = [
    *(f"What is {a} plus {b}?" for a in range(2, 10) for b in range(3, 7)),
    *(f"Count from {a} to {a + 5}." for a in range(1, 9)),
    *(f"What is the capital of {land}?" for land in ("France", "Italy", "Spain", "Norway", "Japan", "Egypt", "Peru")),
    *(f"Repeat: {words}" for words in ("red green blue", "one two", "blue red", "cat dog", "sun moon star")),
    *("Hello", "Hi", "Tell me a long story.", "Give me JSON.", "Describe a person as JSON.", "A phone number"),
    *(f"Once upon a time there {verb}" for verb in ("was", "lived", "stood", "came", "went", "sat")),
]


@dataclass(frozen=True)
class Answer:
    text: str
    finish_reason: str
    completion_tokens: int
    cached_tokens: int


def chat_body(prompt: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 40, **fields}


def urls(pair: Served) -> tuple[str, str]:
    """Of both gateways."""
    host, port = pair.url.rsplit(":", 1)
    return pair.url, f"{host}:{int(port) + 1}"


def until_ready(url: str) -> None:
    """Returns when the supervisor has started it again."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=PATIENCE_S).status_code == 200:
                return
    raise AssertionError(f"{url} does not come back")


async def whole(client: httpx.AsyncClient, prompt: str, **fields: Any) -> Answer:
    response = await client.post("/v1/chat/completions", json=chat_body(prompt, **fields))
    assert response.status_code == 200, response.text
    body = response.json()
    choice, usage = body["choices"][0], body["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return Answer(choice["message"]["content"], choice["finish_reason"], usage["completion_tokens"], cached)


async def streamed(client: httpx.AsyncClient, prompt: str, **fields: Any) -> Answer:
    body = chat_body(prompt, stream=True, stream_options={"include_usage": True}, **fields)
    text, reason = "", ""
    usage: dict[str, Any] = {}
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            chunk = json.loads(line.removeprefix("data: "))
            assert "error" not in chunk, chunk
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                reason = choice["finish_reason"] or reason
            usage = chunk.get("usage") or usage
    return Answer(text, reason, usage["completion_tokens"], usage["prompt_tokens_details"]["cached_tokens"])


def client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=256)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits)


async def all_at_once(url: str, prompts: list[str], **fields: Any) -> list[Answer]:
    async with client(url) as http:
        return list(await asyncio.gather(*(streamed(http, prompt, **fields) for prompt in prompts)))


async def one_by_one(url: str, prompts: list[str], **fields: Any) -> list[Answer]:
    async with client(url) as http:
        return [await whole(http, prompt, **fields) for prompt in prompts]
