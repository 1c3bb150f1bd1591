"""Orders for the vectors of prompts."""

from typing import Any

from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.generation_request import (
    ChoiceSpec,
    GenerationRequest,
    ServedModel,
    check_context,
    check_number,
)
from xylem.shared.protocol import SamplingParams, StopConditions
from xylem.shared.runtime.errors import InvalidRequest

# The tokenizer keeps room for an answer of one token; a prompt that is only read needs no more.
_LIMITS = StopConditions(max_tokens=1)


def vector_order(prompts: dict[str, list[Prompt]], values: dict[str, Any], offer: ServedModel) -> GenerationRequest:
    """One vector for each prompt, field by field. Raises InvalidRequest that names the field with too many."""
    longest = max(prompts, key=lambda name: len(prompts[name]))
    check_number(sum(map(len, prompts.values())), "texts are given", longest, offer)
    for name, column in prompts.items():
        for prompt in column:
            check_prompt(name, prompt, offer)
    flat = [prompt for column in prompts.values() for prompt in column]
    return GenerationRequest(
        model=offer.model,
        limits=_LIMITS,
        choices=[ChoiceSpec(SamplingParams(), prompt, prompt_index=i) for i, prompt in enumerate(flat)],
        salt=values["cache_salt"],
        pooling=values["pooling"],
        add_special_tokens=values["add_special_tokens"],
        prompts=flat,
    )


def check_prompt(name: str, prompt: Prompt, offer: ServedModel) -> None:
    """Raises InvalidRequest: nothing has no vector."""
    if not prompt:
        raise InvalidRequest(f"{name} has an empty text", param=name)
    check_context(name, prompt, offer)
