"""The load of a comparison: so many streams at once, each with a prompt of its own and a fixed number of tokens."""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass

from benchmarks.stream import Answer, Target, ask

TIMEOUT_S = 600.0


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


async def _stream(target: Target, prompt: list[int], num_output: int) -> Answer:
    body = {
        "model": target.model, "prompt": prompt, "max_tokens": num_output, "temperature": 0, "ignore_eos": True,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    answer = await ask(target, "/completions", body, TIMEOUT_S)
    if answer.error or answer.num_tokens != num_output:
        raise RuntimeError(f"{answer.num_tokens} tokens came, not {num_output}: {answer.error or 'no error'}")
    return answer


async def run(load: Load, target: Target, *, seed: int) -> Outcome:
    """All streams at once. Raises RuntimeError when one has not given every token."""
    started_s = time.perf_counter()
    answers = await asyncio.gather(*(_stream(target, prompt, load.num_output) for prompt in load.prompts(seed)))
    wall_s = max(answer.end_s for answer in answers) - started_s
    first_s = statistics.median_high(answer.arrivals_s[0] - started_s for answer in answers)
    return Outcome(load.num_streams * load.num_output / wall_s, wall_s, first_s)
