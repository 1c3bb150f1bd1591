"""The part of a GenerationRequest that chat completions and completions have in common."""

from xylem.services.gateway.fields.generation_fields import GenerationBody
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.protocol import StopConditions
from xylem.shared.runtime.errors import InvalidRequest

REST_OF_CONTEXT = -1


def build_request(body: GenerationBody, served: ServedModel, max_tokens: int) -> GenerationRequest:
    """Returns the request for `body`, without choices. Raises InvalidRequest."""
    options = body.stream_options
    return GenerationRequest(
        model=served.model,
        limits=_stop_conditions(body, max_tokens),
        choices=[],
        stream=body.stream,
        include_usage=options.include_usage,
        continuous_usage=options.continuous_usage_stats and options.include_usage,
        event_ids=options.event_ids,
        seed_is_drawn=body.seed is None,
        salt=body.cache_salt,
        grammar=grammar_of(
            response_format=body.response_format,
            json_schema=body.json_schema,
            regex=body.regex,
            ebnf=body.ebnf,
            structural_tag=body.structural_tag,
            structured_outputs=body.structured_outputs,
            guided_json=body.guided_json,
            guided_regex=body.guided_regex,
            guided_choice=body.guided_choice,
            guided_grammar=body.guided_grammar,
        ),
    )


def max_tokens_of(body: GenerationBody, max_completion_tokens: int | None, default: int) -> int:
    """Returns the limit under either of its names, or the default. Raises InvalidRequest when they differ."""
    given = {body.max_tokens, max_completion_tokens} - {None}
    if len(given) > 1:
        raise InvalidRequest("max_tokens and max_completion_tokens contradict each other", param="max_tokens")
    return next((number for number in given if number is not None), default)


def _stop_conditions(body: GenerationBody, max_tokens: int) -> StopConditions:
    if max_tokens != REST_OF_CONTEXT and body.min_tokens > max_tokens:
        raise InvalidRequest("min_tokens is larger than max_tokens", param="min_tokens")
    return StopConditions(
        max_tokens=max_tokens,
        ignore_eos=body.ignore_eos,
        stop=body.stop,
        stop_token_ids=body.stop_token_ids,
        min_tokens=body.min_tokens,
        stop_regex=body.stop_regex,
        keep_stop=body.no_stop_trim or body.include_stop_str_in_output,
        keep_special=not body.skip_special_tokens,
    )
