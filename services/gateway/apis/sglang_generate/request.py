"""The order in a body of /generate."""

import random
from dataclasses import dataclass
from typing import Any

import msgspec

from xylem.services.gateway.apis.sglang_generate.field_types import inside
from xylem.services.gateway.apis.sglang_generate.fields import GENERATE, SAMPLING
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.generation_request import (
    REST_OF_CONTEXT,
    ChoiceSpec,
    GenerationRequest,
    ServedModel,
    check_context,
    check_model,
    check_number,
    check_vocabulary,
    read_sampling,
    successive,
)
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.protocol import Grammar, LogprobParams, SamplingParams, StopConditions
from xylem.shared.protocol.columns import count, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest

GREEDY_BELOW = 1e-6


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the answer to one choice shows. asked_ids: token ids whose log probabilities are wanted at each position."""

    name: str = ""
    logprobs: bool = False
    num_top: int = 0
    asked_ids: tuple[int, ...] = ()
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """An order, and how its answer looks. wanted: of each choice. batch: the answer is a list."""

    order: GenerationRequest
    wanted: list[Wanted]
    batch: bool
    incremental: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """Sampling parameters, understood. seed: None when one is to be drawn."""

    n: int
    limits: StopConditions
    sampling: SamplingParams
    seed: int | None
    grammar: Grammar | None
    hides_output: bool


def generate_order(body: dict[str, Any], offer: ServedModel) -> Generation:
    """Raises InvalidRequest, NotFound."""
    values = GENERATE.read(body)
    check_model(values["model"], offer)
    name, prompts, listed = _prompts(values)
    plans = _plans(values["sampling_params"], len(prompts), offer)
    num_choices = sum(plan.n for plan in plans)
    param = name if len(prompts) > 1 else "sampling_params.n"
    check_number(num_choices, "sequences are asked for", param, offer)
    order = GenerationRequest(
        model=offer.model,
        limits=StopConditions(),
        choices=[],
        stream=values["stream"],
        salt=_salt(values),
        keeps_cut_scores=True,
        prompts=prompts,
        seed_is_drawn=all(plan.seed is None for plan in plans),
    )
    scores = _Scores(values, len(prompts), offer)
    wanted: list[Wanted] = []
    names = _each("rid", values["rid"], len(prompts))
    drawn = iter(successive(random.getrandbits(63), num_choices))
    for i, (prompt, plan) in enumerate(zip(prompts, plans, strict=True)):
        check_context(name, prompt, offer)
        scoring = scores.of(i, name, prompt)
        seeds = [next(drawn) for _ in range(plan.n)] if plan.seed is None else successive(plan.seed, plan.n)
        for each, seed in enumerate(seeds):
            own_name = names[i] if plan.n == 1 or not names[i] else f"{names[i]}-{each}"
            order.choices.append(
                ChoiceSpec(
                    sampling=msgspec.structs.replace(plan.sampling, seed=seed),
                    prompt=prompt,
                    prompt_index=i,
                    limits=plan.limits,
                    grammar=plan.grammar,
                    scoring=scoring,
                    hides_output=plan.hides_output,
                    name=own_name or "",
                )
            )
            wanted.append(scores.wanted(i, own_name or ""))
    return Generation(order, wanted, listed or num_choices > 1, values["incremental_streaming_output"])


def _prompts(values: dict[str, Any]) -> tuple[str, list[Prompt], bool]:
    """(field, prompts, whether they came as a list)."""
    text, token_ids = values["text"], values["input_ids"]
    if (text is None) == (token_ids is None):
        raise InvalidRequest("give either text or input_ids", param="text")
    name, (prompts, listed) = ("text", text) if text is not None else ("input_ids", token_ids)
    return name, prompts, listed


def _salt(values: dict[str, Any]) -> str:
    """Two names of the same, which SGLang joins."""
    return f"{values['extra_key']}\n{values['cache_salt']}" if values["extra_key"] else str(values["cache_salt"])


def _each(name: str, value: Any, num_prompts: int) -> list[Any]:
    """The value of each prompt. Raises InvalidRequest when a list has another length."""
    if type(value) is not list:
        return [value] * num_prompts
    if len(value) != num_prompts:
        raise InvalidRequest(f"{name} has {len(value)} entries for {num_prompts} prompts", param=name)
    return value


def _plans(given: Any, num_prompts: int, offer: ServedModel) -> list[_Plan]:
    if type(given) is list:
        each = _each("sampling_params", given, num_prompts)
        return [_plan(f"sampling_params[{i}]", values, nulls, offer) for i, (values, nulls) in enumerate(each)]
    values, nulls = given if given is not None else (SAMPLING.read({}), frozenset())
    return [_plan("sampling_params", values, nulls, offer)] * num_prompts


def _plan(where: str, values: dict[str, Any], nulls: frozenset[str], offer: ServedModel) -> _Plan:
    with inside(where):
        if len({values["seed"], values["sampling_seed"]} - {None}) > 1:
            raise InvalidRequest("seed and sampling_seed contradict each other", param="seed")
        max_tokens = REST_OF_CONTEXT if "max_new_tokens" in nulls else values["max_new_tokens"]
        if 0 < max_tokens < values["min_new_tokens"]:
            raise InvalidRequest("min_new_tokens is larger than max_new_tokens", param="min_new_tokens")
        greedy = values["temperature"] < GREEDY_BELOW
        sampling = read_sampling({**values, "temperature": 0.0} if greedy else values, offer)
        grammar = grammar_of(values)
    hidden = max_tokens == 0
    return _Plan(
        n=values["n"],
        limits=StopConditions(
            max_tokens=1 if hidden else max_tokens,
            ignore_eos=values["ignore_eos"],
            stop=values["stop"],
            stop_token_ids=values["stop_token_ids"],
            min_tokens=0 if hidden else values["min_new_tokens"],
            stop_regex=values["stop_regex"],
            keep_stop=values["no_stop_trim"],
            keep_special=not values["skip_special_tokens"],
        ),
        sampling=sampling,
        seed=values["seed"] if values["sampling_seed"] is None else values["sampling_seed"],
        grammar=grammar and msgspec.structs.replace(grammar, param=f"{where}.{grammar.param}"),
        hides_output=hidden,
    )


class _Scores:
    """Which log probabilities are wanted of each prompt."""

    def __init__(self, values: dict[str, Any], num_prompts: int, offer: ServedModel) -> None:
        self._flags = _each("return_logprob", values["return_logprob"], num_prompts)
        self._starts = _each("logprob_start_len", values["logprob_start_len"], num_prompts)
        self._nums = _each("top_logprobs_num", values["top_logprobs_num"], num_prompts)
        self._asked = _each("token_ids_logprob", values["token_ids_logprob"], num_prompts)
        self._texts = values["return_text_in_logprobs"]
        for column in self._asked:
            check_vocabulary("token_ids_logprob", column, offer)

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
