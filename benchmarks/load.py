"""The load: streams of /v1/completions over plain sockets, so that the client costs as little as it can."""

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass

USAGE = re.compile(rb'"completion_tokens":\s*(\d+)')


@dataclass(frozen=True)
class Load:
    """num_streams at once, each with a prompt of its own and exactly num_output tokens to come."""

    num_streams: int
    num_prompt: int
    num_output: int
    max_token_id: int = 1000

    def prompts(self, seed: int) -> list[list[int]]:
        """Token ids, different in every stream and every run, so that no prefix is cached."""
        draw = random.Random(seed)
        return [
            [draw.randrange(300, self.max_token_id) for _ in range(self.num_prompt)] for _ in range(self.num_streams)
        ]


@dataclass(frozen=True)
class Outcome:
    tokens_per_s: float
    wall_s: float
    first_token_s: float  # median over the streams


async def _stream(host: str, port: int, model: str, prompt: list[int], num_output: int) -> tuple[int, float]:
    body = json.dumps(
        {
            "model": model, "prompt": prompt, "max_tokens": num_output, "temperature": 0, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True},
        }
    ).encode()  # fmt: skip
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    started_s = time.perf_counter()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    first_s = 0.0
    tail = b""
    while data := await reader.read(1 << 18):
        if not first_s and b"data:" in data:
            first_s = time.perf_counter() - started_s
        tail = tail[-600:] + data
    writer.close()
    usage = USAGE.findall(tail)
    if not usage:
        raise RuntimeError(f"the stream ended without usage: {tail[-300:]!r}")
    return int(usage[-1]), first_s


async def run(load: Load, *, host: str, port: int, model: str, seed: int) -> Outcome:
    """All streams at once. Raises RuntimeError when one has not given every token."""
    started_s = time.perf_counter()
    results = await asyncio.gather(
        *(_stream(host, port, model, prompt, load.num_output) for prompt in load.prompts(seed))
    )
    wall_s = time.perf_counter() - started_s
    num_tokens = sum(tokens for tokens, _ in results)
    if num_tokens != load.num_streams * load.num_output:
        raise RuntimeError(f"{num_tokens} tokens came, not {load.num_streams * load.num_output}")
    firsts = sorted(first for _, first in results)
    return Outcome(num_tokens / wall_s, wall_s, firsts[len(firsts) // 2])
