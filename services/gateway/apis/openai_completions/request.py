"""From a body of /v1/completions to the request that the pipeline gets."""

import msgspec

from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.generation.build_request import build_request, check_sequences
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.read_params import max_tokens_of, read_params
from xylem.services.gateway.generation.seeds import choice_seeds, with_seed
from xylem.services.gateway.generation.served_model import ServedModel, check_model, check_prompt_ids
from xylem.shared.protocol import LogprobParams
from xylem.shared.runtime.errors import InvalidRequest

DEFAULT_MAX_TOKENS = 16


def completion_request(body: CompletionBody, served: ServedModel) -> GenerationRequest:
    """Returns the request for a body of /v1/completions. Raises InvalidRequest, NotFound."""
    check_model(body.model, served)
    max_tokens = max_tokens_of(body, body.max_completion_tokens, DEFAULT_MAX_TOKENS)
    if max_tokens == 0 and not body.echo:
        raise InvalidRequest("max_tokens must be at least 1, unless echo is true", param="max_tokens")
    # Log probabilities of the prompt alone take a token, too, which is not shown.
    hides_output = max_tokens == 0 and body.logprobs is not None
    num_made = _num_made(body)
    params = msgspec.structs.replace(
        read_params(body, served, 1 if hides_output else max_tokens),
        logprobs=_logprob_params(body, chooses=num_made > body.n),
    )
    for prompt in body.prompt:
        check_prompt_ids("prompt", prompt, served)
    check_sequences(num_made, len(body.prompt), served)
    choices = [
        ChoiceSpec(
            with_seed(params, seed), body.prompt[i // num_made], prompt_index=i // num_made, hides_output=hides_output
        )
        for i, seed in enumerate(choice_seeds(body.seed, n=num_made, num_prompts=len(body.prompt)))
    ]
    request = build_request(body, served, choices)
    request.echo = body.echo
    request.add_special_tokens = body.add_special_tokens
    request.shows_logprobs = body.logprobs is not None
    request.prompts = body.prompt
    request.num_shown = body.n if num_made > body.n else 0
    return request


def _num_made(body: CompletionBody) -> int:
    """Returns the number of choices that are made of each prompt, of which n are shown."""
    if body.best_of is None or body.best_of == body.n:
        return body.n
    if body.best_of < body.n:
        raise InvalidRequest("best_of must not be smaller than n", param="best_of")
    if body.stream:
        raise InvalidRequest("best_of is not known before the end, so it can't be streamed", param="best_of")
    return body.best_of


def _logprob_params(body: CompletionBody, *, chooses: bool) -> LogprobParams | None:
    """chooses: the best choices are found by them, whether the client sees them or not."""
    if body.logprobs is not None:
        return LogprobParams(num_top=body.logprobs, prompt_from=0 if body.echo else -1)
    return LogprobParams() if chooses else None
