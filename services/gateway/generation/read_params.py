"""The parameters of a generation, read from a body: a field that has a parameter's name is that parameter.

So a parameter that is appended to a struct of `shared/protocol/generation_params.py` and declared as a field of a body
gets from there to here by itself. Only what clients call otherwise, or say in other terms, is told by name.
"""

from typing import Protocol, TypeVar

import msgspec

from xylem.services.gateway.fields.generation_fields import GenerationBody
from xylem.services.gateway.generation.served_model import ServedModel, check_vocabulary
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.protocol import GenerationParams, SamplingParams, StopConditions
from xylem.shared.runtime.errors import InvalidRequest

REST_OF_CONTEXT = -1

S = TypeVar("S", bound=msgspec.Struct)


class SamplingFields(Protocol):
    """A body that says how tokens are sampled."""

    @property
    def logit_bias(self) -> tuple[bytes, bytes]:
        """Columns of token ids, and of what is added to the logit of each."""


def from_body(params: S, body: object, **others: object) -> S:
    """Returns `params` with the fields of the same names that `body` has and that are not None, and with `others`."""
    named = {name: value for name in params.__struct_fields__ if (value := getattr(body, name, None)) is not None}
    return msgspec.structs.replace(params, **(named | others))


def sampling_params(body: SamplingFields, served: ServedModel) -> SamplingParams:
    """Returns all but the seed. What the body leaves open the model may say. Raises InvalidRequest."""
    bias_ids, bias_values = body.logit_bias
    check_vocabulary("logit_bias", bias_ids, served)
    own = msgspec.structs.replace(SamplingParams(), **served.sampling)
    params = from_body(own, body, seed=0, bias_ids=bias_ids, bias_values=bias_values)
    return msgspec.structs.replace(params, top_k=max(int(params.top_k), 0))


def read_params(body: GenerationBody, served: ServedModel, max_tokens: int) -> GenerationParams:
    """Returns what a body says of its generation, without seed and log probabilities. Raises InvalidRequest."""
    return from_body(
        GenerationParams(),
        body,
        sampling=sampling_params(body, served),
        stop_conditions=_stop_conditions(body, served, max_tokens),
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
        logprobs=None,  # each API asks for them in its own way
    )


def max_tokens_of(body: GenerationBody, max_completion_tokens: int | None, default: int) -> int:
    """Returns the limit under its newer name, or else under its older one, or the default."""
    given = (max_completion_tokens, body.max_tokens)
    return next((number for number in given if number is not None), default)


def _stop_conditions(body: GenerationBody, served: ServedModel, max_tokens: int) -> StopConditions:
    check_vocabulary("stop_token_ids", body.stop_token_ids, served)
    if max_tokens != REST_OF_CONTEXT and body.min_tokens > max_tokens:
        raise InvalidRequest("min_tokens is larger than max_tokens", param="min_tokens")
    return from_body(
        StopConditions(),
        body,
        max_tokens=max_tokens,
        keep_stop=body.no_stop_trim or body.include_stop_str_in_output,
        keep_special=not body.skip_special_tokens,
    )
