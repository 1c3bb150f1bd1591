"""The part of a GenerationRequest that chat completions and completions have in common."""

from xylem.services.gateway.fields.generation_fields import GenerationBody
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.served_model import ServedModel, check_number


def build_request(body: GenerationBody, served: ServedModel, choices: list[ChoiceSpec]) -> GenerationRequest:
    """Returns the request for `body`: how its choices are delivered."""
    options = body.stream_options
    return GenerationRequest(
        model=served.model,
        choices=choices,
        stream=body.stream,
        include_usage=options.include_usage,
        continuous_usage=options.continuous_usage_stats and options.include_usage,
        event_ids=options.event_ids,
        seed_is_drawn=body.seed is None,
    )


def check_sequences(n: int, num_prompts: int, served: ServedModel) -> None:
    """Raises InvalidRequest when n choices of each prompt are more than a gateway holds."""
    check_number(n * num_prompts, "sequences are asked for", "n" if n > 1 else "prompt", served)
