"""The seeds of a request's choices."""

import random

import msgspec

from xylem.shared.protocol import GenerationParams

SEED_MASK = 2**63 - 1


def draw_seeds(count: int) -> list[int]:
    """Returns `count` successive seeds, the first of them random."""
    return successive_seeds(random.getrandbits(63), count)


def successive_seeds(seed: int, count: int) -> list[int]:
    """Returns the seeds of `count` choices, of which the first has `seed`."""
    return [(seed + i) & SEED_MASK for i in range(count)]


def choice_seeds(seed: int | None, *, n: int, num_prompts: int) -> list[int]:
    """Returns the seeds of all choices, prompt by prompt, n for each of them; without a seed they are drawn.

    A given seed gives every prompt what it would get when sent alone.
    """
    return draw_seeds(n * num_prompts) if seed is None else successive_seeds(seed, n) * num_prompts


def with_seed(params: GenerationParams, seed: int) -> GenerationParams:
    """Returns the same parameters, sampled with `seed`."""
    return msgspec.structs.replace(params, sampling=msgspec.structs.replace(params.sampling, seed=seed))
