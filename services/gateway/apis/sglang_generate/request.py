"""From a body of /generate to the request that the pipeline gets."""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from xylem.services.gateway.apis.sglang_generate.field_types import inside
from xylem.services.gateway.apis.sglang_generate.fields import GenerateBody, GivenSampling, SamplingBody
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.read_params import REST_OF_CONTEXT, from_body, sampling_params
from xylem.services.gateway.generation.seeds import draw_seeds, successive_seeds, with_seed
from xylem.services.gateway.generation.served_model import (
    ServedModel,
    check_model,
    check_number,
    check_prompt_ids,
    check_vocabulary,
)
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.protocol import GenerationParams, LogprobParams, StopConditions
from xylem.shared.protocol.columns import count, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest

GREEDY_BELOW = 1e-6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Says what an answer shows of a choice. asked_ids: tokens whose log probabilities are wanted at each position."""

    name: str = ""
    logprobs: bool = False
    num_top: int = 0
    asked_ids: tuple[int, ...] = ()
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """A request, and how its answer looks. wanted: of each choice. batch: the answer is a list."""

    request: GenerationRequest
    wanted: list[Wanted]
    batch: bool
    incremental: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """Sampling parameters, understood. seed: None when one is to be drawn."""

    n: int
    params: GenerationParams
    seed: int | None
    hides_output: bool


def generate_request(body: GenerateBody, served: ServedModel) -> Generation:
    """Returns the request for a body of /generate. Raises InvalidRequest, NotFound."""
    check_model(body.model, served)
    name, prompts, listed = _prompts(body)
    plans = _plans(body.sampling_params, len(prompts), served)
    num_choices = sum(plan.n for plan in plans)
    param = name if len(prompts) > 1 else "sampling_params.n"
    check_number(num_choices, "sequences are asked for", param, served)
    request = GenerationRequest(
        model=served.model,
        choices=[],
        stream=body.stream,
        keeps_cut_scores=True,
        prompts=prompts,
        seed_is_drawn=all(plan.seed is None for plan in plans),
    )
    logprobs = _Logprobs(body, len(prompts), served)
    wanted: list[Wanted] = []
    names = _each("rid", body.rid, len(prompts))
    drawn = iter(draw_seeds(num_choices))
    for i, (prompt, plan) in enumerate(zip(prompts, plans, strict=True)):
        check_prompt_ids(name, prompt, served)
        params = from_body(plan.params, body, logprobs=logprobs.of(i, name, prompt), cache_salt=_salt(body))
        seeds = [next(drawn) for _ in range(plan.n)] if plan.seed is None else successive_seeds(plan.seed, plan.n)
        for each, seed in enumerate(seeds):
            own_name = names[i] if plan.n == 1 or not names[i] else f"{names[i]}-{each}"
            request.choices.append(
                ChoiceSpec(
                    with_seed(params, seed),
                    prompt=prompt,
                    prompt_index=i,
                    hides_output=plan.hides_output,
                    name=own_name,
                )
            )
            wanted.append(logprobs.wanted(i, own_name))
    return Generation(request, wanted, listed or num_choices > 1, body.incremental_streaming_output)


def _prompts(body: GenerateBody) -> tuple[str, list[Prompt], bool]:
    """(field, prompts, whether they came as a list)."""
    if (body.text is None) == (body.input_ids is None):
        raise InvalidRequest("give either text or input_ids", param="text")
    if body.text is not None:
        return "text", *body.text
    assert body.input_ids is not None
    return "input_ids", *body.input_ids


def _salt(body: GenerateBody) -> str:
    """Two names of the same, which SGLang joins."""
    return f"{body.extra_key}\n{body.cache_salt}" if body.extra_key else body.cache_salt


def _each(name: str, value: T | list[T], num_prompts: int) -> list[T]:
    """The value of each prompt. Raises InvalidRequest when a list has another length."""
    if not isinstance(value, list):
        return [value] * num_prompts
    _check_number_of(name, len(value), num_prompts)
    return value


def _check_number_of(name: str, num_entries: int, num_prompts: int) -> None:
    if num_entries != num_prompts:
        raise InvalidRequest(f"{name} has {num_entries} entries for {num_prompts} prompts", param=name)


def _plans(given: GivenSampling | list[GivenSampling] | None, num_prompts: int, served: ServedModel) -> list[_Plan]:
    if isinstance(given, list):
        _check_number_of("sampling_params", len(given), num_prompts)
        return [_plan(f"sampling_params[{i}]", body, nulls, served) for i, (body, nulls) in enumerate(given)]
    body, nulls = given if given is not None else (SamplingBody(), frozenset())
    return [_plan("sampling_params", body, nulls, served)] * num_prompts


def _plan(where: str, body: SamplingBody, nulls: frozenset[str], served: ServedModel) -> _Plan:
    with inside(where):
        if len({body.seed, body.sampling_seed} - {None}) > 1:
            raise InvalidRequest("seed and sampling_seed contradict each other", param="seed")
        max_tokens = REST_OF_CONTEXT if "max_new_tokens" in nulls else body.max_new_tokens
        if 0 < max_tokens < body.min_new_tokens:
            raise InvalidRequest("min_new_tokens is larger than max_new_tokens", param="min_new_tokens")
        sampling = sampling_params(body, served)
        check_vocabulary("stop_token_ids", body.stop_token_ids, served)
        grammar = grammar_of(
            json_schema=body.json_schema, regex=body.regex, ebnf=body.ebnf, structural_tag=body.structural_tag
        )
    hidden = max_tokens == 0
    params = from_body(
        GenerationParams(),
        body,
        sampling=msgspec.structs.replace(sampling, temperature=0.0) if body.temperature < GREEDY_BELOW else sampling,
        stop_conditions=from_body(
            StopConditions(),
            body,
            max_tokens=1 if hidden else max_tokens,
            min_tokens=0 if hidden else body.min_new_tokens,
            keep_stop=body.no_stop_trim,
            keep_special=not body.skip_special_tokens,
        ),
        grammar=grammar and msgspec.structs.replace(grammar, param=f"{where}.{grammar.param}"),
    )
    seed = body.seed if body.sampling_seed is None else body.sampling_seed
    return _Plan(n=body.n, params=params, seed=seed, hides_output=hidden)


class _Logprobs:
    """Which log probabilities are wanted of each prompt."""

    def __init__(self, body: GenerateBody, num_prompts: int, served: ServedModel) -> None:
        self._flags = _each("return_logprob", body.return_logprob, num_prompts)
        self._starts = _each("logprob_start_len", body.logprob_start_len, num_prompts)
        self._nums = _each("top_logprobs_num", body.top_logprobs_num, num_prompts)
        self._asked = _each("token_ids_logprob", body.token_ids_logprob, num_prompts)
        self._texts = body.return_text_in_logprobs
        for column in self._asked:
            check_vocabulary("token_ids_logprob", column, served)

    def of(self, i: int, name: str, prompt: Prompt) -> LogprobParams | None:
        """Raises ContextTooLong when they are to begin after the prompt."""
        if not self._flags[i]:
            return None
        start = self._starts[i]
        if isinstance(prompt, bytes) and start > count(prompt):
            raise ContextTooLong(
                f"logprob_start_len is {start}, and {name} has {count(prompt)} tokens", param="logprob_start_len"
            )
        return LogprobParams(num_top=self._nums[i], token_ids=self._asked[i], prompt_from=start)

    def wanted(self, i: int, name: str) -> Wanted:
        if not self._flags[i]:
            return Wanted(name)
        return Wanted(name, True, self._nums[i], tuple(unpack(self._asked[i])), self._texts)
