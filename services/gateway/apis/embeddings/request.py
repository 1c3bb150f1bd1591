"""Requests for the vectors of prompts."""

from collections.abc import Mapping, Sequence

from xylem.services.gateway.apis.embeddings.fields import VectorBody
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.read_params import from_body
from xylem.services.gateway.generation.served_model import ServedModel, check_number, check_prompt_ids
from xylem.shared.protocol import GenerationParams, StopConditions
from xylem.shared.runtime.errors import InvalidRequest


def vector_request(prompts: Mapping[str, Sequence[Prompt]], body: VectorBody, served: ServedModel) -> GenerationRequest:
    """Returns a request for one vector of each prompt, in the order of the fields that `prompts` is by.

    Raises InvalidRequest that names the field with too many.
    """
    longest = max(prompts, key=lambda name: len(prompts[name]))
    check_number(sum(map(len, prompts.values())), "texts are given", longest, served)
    for name, column in prompts.items():
        for prompt in column:
            check_prompt(name, prompt, served)
    flat = [prompt for column in prompts.values() for prompt in column]
    # The tokenizer keeps room for an answer of one token; a prompt that is only read needs no more.
    params = from_body(GenerationParams(stop_conditions=StopConditions(max_tokens=1)), body)
    return GenerationRequest(
        model=served.model,
        choices=[ChoiceSpec(params, prompt, prompt_index=i) for i, prompt in enumerate(flat)],
        add_special_tokens=body.add_special_tokens,
        prompts=flat,
    )


def check_prompt(name: str, prompt: Prompt, served: ServedModel) -> None:
    """Raises InvalidRequest for an empty prompt, which has no vector."""
    if not prompt:
        raise InvalidRequest(f"{name} has an empty text", param=name)
    check_prompt_ids(name, prompt, served)
