"""Fields of a body become limits, samplings and choices."""

from dataclasses import replace
from typing import Any

import pytest

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.apis.openai_completions.request import completion_request
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.served_model import ModelNotFound, ServedModel
from xylem.shared.protocol import LogprobParams
from xylem.shared.protocol.columns import unpack, unpack_floats
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest

SERVED = ServedModel(model="tiny", context_length=64, vocab_size=512, max_choices=8)


def chat(**more: Any) -> GenerationRequest:
    return chat_request(ChatBody.read({"messages": [{"role": "user", "content": "x"}], **more}), SERVED)


def completion(**more: Any) -> GenerationRequest:
    return completion_request(CompletionBody.read({"prompt": "x", **more}), SERVED)


def test_defaults_of_the_two_endpoints() -> None:
    assert chat().params.stop_conditions.max_tokens == -1
    assert completion().params.stop_conditions.max_tokens == 16
    sampling = chat().params.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (1.0, 1.0, 0, 0.0)


def test_the_model_has_defaults_of_its_own() -> None:
    served = replace(SERVED, sampling={"temperature": 0.6, "top_k": 20})
    request = chat_request(ChatBody.read({"messages": [{"role": "user", "content": "x"}], "top_k": 0}), served)
    sampling = request.params.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.6, 0, 1.0)


def test_both_names_of_the_token_limit() -> None:
    assert chat(max_completion_tokens=3).params.stop_conditions.max_tokens == 3
    assert chat(max_tokens=3, max_completion_tokens=3).params.stop_conditions.max_tokens == 3
    assert chat(max_tokens=3, max_completion_tokens=4).params.stop_conditions.max_tokens == 4  # the newer name


def test_seeds() -> None:
    def seeds(request: GenerationRequest) -> list[int]:
        return [choice.params.sampling.seed for choice in request.choices]

    assert seeds(chat(seed=7, n=3)) == [7, 8, 9]
    assert seeds(chat(seed=-1, n=2)) == [2**63 - 1, 0]
    assert seeds(chat(seed=2**80 + 3)) == [3]
    assert seeds(completion(prompt=["a", "b"], seed=7, n=2)) == [7, 8, 7, 8]
    assert seeds(chat()) != seeds(chat())
    assert len(set(seeds(completion(prompt=["a", "b"], n=2)))) == 4


def test_choices_of_several_prompts() -> None:
    request = completion(prompt=["a", "b"], n=2)
    assert [(choice.prompt, choice.prompt_index) for choice in request.choices] == [
        ("a", 0),
        ("a", 0),
        ("b", 1),
        ("b", 1),
    ]


def test_top_k_minus_one_is_all() -> None:
    assert chat(top_k=-1).params.sampling.top_k == 0


def test_min_tokens_fit_into_max_tokens() -> None:
    assert chat(min_tokens=8, max_tokens=8).params.stop_conditions.min_tokens == 8
    assert chat(min_tokens=8).params.stop_conditions.min_tokens == 8
    with pytest.raises(InvalidRequest, match="min_tokens"):
        chat(min_tokens=8, max_tokens=7)


def test_best_of() -> None:
    assert completion(best_of=2, n=2).num_shown == 0
    request = completion(best_of=3, n=2)
    assert (len(request.choices), request.num_shown) == (3, 2)
    assert request.params.logprobs is not None
    assert not request.shows_logprobs
    for more in ({"best_of": 1, "n": 2}, {"best_of": 2, "stream": True}):
        with pytest.raises(InvalidRequest, match="best_of"):
            completion(**more)


def test_zero_tokens_are_for_prompts_that_are_wanted_back() -> None:
    assert not completion(max_tokens=0, echo=True).choices[0].hides_output
    scored = completion(max_tokens=0, echo=True, logprobs=1)
    assert scored.choices[0].hides_output
    assert scored.params.stop_conditions.max_tokens == 1
    assert scored.params.logprobs == LogprobParams(num_top=1, prompt_from=0)
    with pytest.raises(InvalidRequest, match="max_tokens"):
        completion(max_tokens=0)


def test_log_probabilities() -> None:
    assert chat().params.logprobs is None
    assert chat(logprobs=True, top_logprobs=3).params.logprobs == LogprobParams(num_top=3)
    assert chat(logprobs=True).params.logprobs == LogprobParams()
    assert completion(logprobs=0).params.logprobs == LogprobParams()
    with pytest.raises(InvalidRequest, match="top_logprobs needs logprobs"):
        chat(top_logprobs=3)


def test_biases_stay_inside_the_vocabulary() -> None:
    sampling = chat(logit_bias={"5": -100, "7": 1.5}).params.sampling
    assert list(unpack(sampling.bias_ids)) == [5, 7]
    assert list(unpack_floats(sampling.bias_values)) == [-100.0, 1.5]
    with pytest.raises(InvalidRequest, match="vocabulary") as caught:
        chat(logit_bias={str(SERVED.vocab_size): 1})
    assert caught.value.param == "logit_bias"


def test_long_id_prompts_are_refused_at_once() -> None:
    with pytest.raises(ContextTooLong, match=r"65 tokens.*holds 64"):
        completion(prompt=[1] * 65)


def test_other_models() -> None:
    chat(model=None)
    with pytest.raises(ModelNotFound):
        chat(model="other")


def test_more_than_the_gateway_holds() -> None:
    assert len(completion(prompt=["a"] * 4, n=2).choices) == 8
    with pytest.raises(InvalidRequest, match=r"9 sequences .* holds 8") as caught:
        completion(prompt=["a"] * 9)
    assert caught.value.param == "prompt"
    with pytest.raises(InvalidRequest, match=r"9 sequences .* holds 8") as caught:
        chat(n=9)
    assert caught.value.param == "n"
