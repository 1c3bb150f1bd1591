"""From a body of /v1/completions to the request that the pipeline gets."""

import msgspec

from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.generation.build_request import build_request, max_tokens_of
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.sampling import choice_samplings
from xylem.services.gateway.generation.served_model import ServedModel, check_context, check_model
from xylem.shared.protocol import LogprobParams
from xylem.shared.runtime.errors import InvalidRequest

DEFAULT_MAX_TOKENS = 16


def completion_request(body: CompletionBody, served: ServedModel) -> GenerationRequest:
    """Returns the request for a body of /v1/completions. Raises InvalidRequest, NotFound."""
    check_model(body.model, served)
    request = build_request(body, served, max_tokens_of(body, body.max_completion_tokens, DEFAULT_MAX_TOKENS))
    if request.limits.max_tokens == 0 and not body.echo:
        raise InvalidRequest("max_tokens must be at least 1, unless echo is true", param="max_tokens")
    request.echo = body.echo
    request.add_special_tokens = body.add_special_tokens
    hides_output = False
    if body.logprobs is not None:
        request.shows_logprobs = True
        request.scoring = LogprobParams(num_top=body.logprobs, prompt_from=0 if request.echo else -1)
        if request.limits.max_tokens == 0:
            request.limits = msgspec.structs.replace(request.limits, max_tokens=1)
            hides_output = True
    n = _best_of(body, request)
    request.prompts = body.prompt
    for prompt in request.prompts:
        check_context("prompt", prompt, served)
    samplings = choice_samplings(body, served, n=n, num_prompts=len(request.prompts))
    request.choices = [
        ChoiceSpec(sampling, request.prompts[i // n], prompt_index=i // n, hides_output=hides_output)
        for i, sampling in enumerate(samplings)
    ]
    return request


def _best_of(body: CompletionBody, request: GenerationRequest) -> int:
    """Returns the number of choices that are made of each prompt."""
    n, best_of = body.n, body.best_of
    if best_of is None or best_of == n:
        return n
    if best_of < n:
        raise InvalidRequest("best_of must not be smaller than n", param="best_of")
    if request.stream:
        raise InvalidRequest("best_of is not known before the end, so it can't be streamed", param="best_of")
    request.num_shown = n
    request.scoring = request.scoring or LogprobParams()
    return best_of
