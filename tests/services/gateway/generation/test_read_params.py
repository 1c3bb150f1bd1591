"""A field of a body that has a parameter's name is that parameter, so both have to mean the same."""

import types
import typing
from dataclasses import replace
from typing import Annotated

import msgspec
import pytest

from xylem.services.gateway.apis.embeddings.fields import EmbeddingsBody, RerankBody, ScoreBody
from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.apis.sglang_generate.fields import GenerateBody, SamplingBody
from xylem.services.gateway.fields.basic_types import NumberType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import taken
from xylem.services.gateway.generation.read_params import from_body, read_params, sampling_params
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.shared.protocol import GenerationParams, SamplingParams, StopConditions
from xylem.shared.protocol.bounds import Amount

SERVED = ServedModel(model="tiny", context_length=64, vocab_size=512, max_choices=8)
BODIES = (ChatBody, CompletionBody, GenerateBody, SamplingBody, EmbeddingsBody, ScoreBody, RerankBody)
# Every reader gives these itself: the body's field is something else.
GIVEN = {"seed", "logprobs", "max_tokens"}


def plain(annotation: object) -> object:
    """Returns the type without bounds, and without the None that a body may leave a field."""
    if typing.get_origin(annotation) is Annotated:
        return plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        kinds = [plain(each) for each in typing.get_args(annotation) if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else tuple(kinds)
    return annotation


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("params", [SamplingParams, StopConditions, GenerationParams])
def test_same_names_have_the_same_type(body: type[Body], params: type[msgspec.Struct]) -> None:
    ours, theirs = typing.get_type_hints(params), typing.get_type_hints(body)
    for name in ours.keys() & set(body.__struct_fields__) - GIVEN:
        assert plain(theirs[name]) == plain(ours[name]), name


@pytest.mark.parametrize("body", BODIES)
def test_no_client_says_what_only_the_gateway_knows(body: type[Body]) -> None:
    assert not {"tenant", "deadline_s", "resumable"} & set(body.rows)


class WarmParams(SamplingParams, array_like=True, frozen=True):
    """The parameters with one that is appended."""

    warmth: Amount = 0.0


class WarmBody(SamplingBody):
    """The body with a field of that name."""

    warmth: float = taken(NumberType(0, 1), 0.0)


def test_a_new_parameter_gets_through_by_its_name() -> None:
    body = WarmBody.read({"warmth": 0.5, "top_p": 0.25})
    params = from_body(WarmParams(), body)
    assert (params.warmth, params.top_p, params.min_p) == (0.5, 0.25, 0.0)


def test_null_leaves_it_to_the_model_and_a_value_does_not() -> None:
    own = replace(SERVED, sampling={"temperature": 0.6, "min_p": 0.1, "top_k": 20.0})
    params = sampling_params(ChatBody.read({"messages": [], "temperature": None, "min_p": 0}), own)
    assert (params.temperature, params.min_p, params.top_k, params.top_p) == (0.6, 0.0, 20, 1.0)
    assert isinstance(params.top_k, int)


def test_a_seed_and_log_probabilities_are_not_taken_by_name() -> None:
    params = read_params(ChatBody.read({"messages": [], "seed": 2**70, "logprobs": True, "max_tokens": 3}), SERVED, 7)
    assert (params.sampling.seed, params.logprobs, params.stop_conditions.max_tokens) == (0, None, 7)
