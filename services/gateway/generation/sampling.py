"""Sampling parameters: a body's values, the model's own defaults, and a seed for each choice."""

import random

import msgspec

from xylem.services.gateway.fields.generation_fields import GenerationBody
from xylem.services.gateway.generation.served_model import ServedModel, check_number, check_vocabulary
from xylem.shared.protocol import SamplingParams

SEED_MASK = 2**63 - 1


def sampling_params(
    served: ServedModel,
    *,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    min_p: float | None,
    repetition_penalty: float | None,
    frequency_penalty: float,
    presence_penalty: float,
    logit_bias: tuple[bytes, bytes],
) -> SamplingParams:
    """Returns all but the seed; None stands for the model's own default. Raises InvalidRequest."""
    bias_ids, bias_values = logit_bias
    check_vocabulary("logit_bias", bias_ids, served)
    own = served.sampling

    def chosen(name: str, value: float | None, default: float) -> float:
        return own.get(name, default) if value is None else value

    return SamplingParams(
        temperature=chosen("temperature", temperature, 1.0),
        top_p=chosen("top_p", top_p, 1.0),
        top_k=max(int(chosen("top_k", top_k, 0)), 0),
        min_p=chosen("min_p", min_p, 0.0),
        repetition_penalty=chosen("repetition_penalty", repetition_penalty, 1.0),
        frequency_penalty=frequency_penalty,
        presence_penalty=presence_penalty,
        bias_ids=bias_ids,
        bias_values=bias_values,
    )


def choice_samplings(body: GenerationBody, served: ServedModel, *, n: int, num_prompts: int) -> list[SamplingParams]:
    """Returns those of each choice, prompt by prompt, n for each of them. Raises InvalidRequest.

    A given seed gives every prompt what it would get when sent alone.
    """
    check_number(n * num_prompts, "sequences are asked for", "n" if n > 1 else "prompt", served)
    sampling = sampling_params(
        served,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        logit_bias=body.logit_bias,
    )
    seeds = draw_seeds(n * num_prompts) if body.seed is None else successive_seeds(body.seed, n) * num_prompts
    return [msgspec.structs.replace(sampling, seed=seed) for seed in seeds]


def draw_seeds(count: int) -> list[int]:
    """Returns `count` successive seeds, the first of them random."""
    return successive_seeds(random.getrandbits(63), count)


def successive_seeds(seed: int, count: int) -> list[int]:
    """Returns the seeds of `count` choices, of which the first has `seed`."""
    return [(seed + i) & SEED_MASK for i in range(count)]
