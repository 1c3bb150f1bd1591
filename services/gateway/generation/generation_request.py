"""What a client has ordered: the choices to be generated and how they are to be delivered."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from xylem.services.gateway.fields.field_tables import CHAT, COMPLETIONS
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.chat_messages import read_messages
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.services.gateway.generation.tools import read_tools
from xylem.services.gateway.output_parsers import Family
from xylem.services.gateway.output_parsers.deltas import Parser, PlainParser
from xylem.shared.protocol import Grammar, LogprobParams, SamplingParams, StopConditions
from xylem.shared.protocol.columns import count, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest, NotFound

SEED_MASK = 2**63 - 1
DEFAULT_COMPLETION_TOKENS = 16
REST_OF_CONTEXT = -1

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class ChoiceSpec:
    """One sequence. Exactly one of prompt (text or a column of ids) and messages is set.

    limits, grammar, scoring: where they are not those of the whole order. name: what the client calls it.
    """

    sampling: SamplingParams
    prompt: Prompt | None = None
    messages: bytes | None = None
    prompt_index: int = 0  # choices of one prompt share its tokens, which are counted once
    limits: StopConditions | None = None
    grammar: Grammar | None = None
    scoring: LogprobParams | None = None
    hides_output: bool = False  # only the prompt is to be read, which takes a token
    name: str = ""


@dataclass(slots=True)
class GenerationRequest:
    """One HTTP request, understood."""

    model: str
    limits: StopConditions
    choices: list[ChoiceSpec]
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    event_ids: bool = False
    by_token: bool = False  # the reader is told of each token by itself
    seed_is_drawn: bool = False  # here, since the client gave none
    echo: bool = False
    salt: str = ""
    tenant: str = ""
    template_arguments: bytes = b""
    tools: bytes = b""  # JSON list for the chat template
    grammar: Grammar | None = None
    scoring: LogprobParams | None = None
    pooling: str = ""
    add_special_tokens: bool = True
    make_parser: Callable[[], Parser] = PlainParser
    shows_logprobs: bool = False
    num_shown: int = 0  # of each prompt's choices; 0: all
    keeps_cut_scores: bool = False  # of tokens, too, whose text was cut off with a stop string
    prompts: list[Prompt] = field(default_factory=list)
    prompt_texts: list[str] = field(default_factory=list)  # with echo: of each prompt
    prompt_counts: list[int] = field(default_factory=list)  # with echo and nothing generated: tokens of each prompt

    @property
    def parses(self) -> bool:
        """Whether the text is taken apart, so that a reader needs all of it from the start."""
        return self.make_parser is not PlainParser

    @property
    def base_seed(self) -> int:
        """That of the first choice."""
        return self.choices[0].sampling.seed

    def use_seed(self, seed: int) -> None:
        """Draws as an earlier order of the same body did, which had drawn this seed."""
        if self.seed_is_drawn:
            for choice, each in zip(self.choices, successive(seed, len(self.choices)), strict=True):
                choice.sampling = msgspec.structs.replace(choice.sampling, seed=each)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What can be ordered here."""

    model: str
    context_length: int
    vocab_size: int
    max_choices: int  # of one request
    sampling: dict[str, float] = field(default_factory=dict)  # the model's own defaults, by field
    family: Family = field(default_factory=Family)  # how it writes thoughts and calls


class ModelNotFound(NotFound):
    code = "model_not_found"


def check_model(model: str | None, offer: ServedModel) -> None:
    """Raises NotFound unless it is the one that is served. No model means that one."""
    if model is not None and model != offer.model:
        raise ModelNotFound(f"the model {model[:200]!r} does not exist here; there is {offer.model!r}", param="model")


def check_vocabulary(name: str, token_ids: bytes, offer: ServedModel) -> None:
    """Raises InvalidRequest that names the field and its first token id that the model does not have."""
    outside = next((token_id for token_id in unpack(token_ids) if token_id >= offer.vocab_size), None)
    if outside is not None:
        raise InvalidRequest(
            f"{name}: token id {outside} is outside the model's vocabulary of {offer.vocab_size}", param=name
        )


def check_number(number: int, what: str, param: str, offer: ServedModel) -> None:
    """Raises InvalidRequest when there is not so much room in a gateway."""
    if number > offer.max_choices:
        raise InvalidRequest(f"{number} {what}; this gateway holds {offer.max_choices}", param=param)


def check_context(name: str, prompt: Prompt, offer: ServedModel) -> None:
    """Raises ContextTooLong for token ids that can't be read. How long a text is, only the tokenizer knows."""
    if isinstance(prompt, bytes) and count(prompt) > offer.context_length:
        raise ContextTooLong(
            f"the prompt has {count(prompt)} tokens; the model's context holds {offer.context_length}", param=name
        )


def chat_order(body: dict[str, Any], offer: ServedModel) -> GenerationRequest:
    """The order in a body of /v1/chat/completions. Raises InvalidRequest, NotFound."""
    values = CHAT.read(body)
    check_model(values["model"], offer)
    order = _order(values, offer, REST_OF_CONTEXT)
    if order.limits.max_tokens == 0:
        raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
    messages = read_messages(values["messages"])
    order.template_arguments = _template_arguments(values)
    _take_apart(order, values, offer.family)
    order.scoring = _chat_scoring(values)
    order.shows_logprobs = values["logprobs"]
    samplings = _samplings(values, offer, num_prompts=1)
    order.choices = [ChoiceSpec(sampling=sampling, messages=messages) for sampling in samplings]
    return order


def _take_apart(order: GenerationRequest, values: dict[str, Any], family: Family) -> None:
    """Has the answer parsed, and its calls forced, as far as tools and thinking are wanted."""
    tools = read_tools(values)
    order.tools = _encoder.encode(tools.definitions) if tools.definitions else b""
    wanted = values["chat_template_kwargs"]
    thinking = family.thinks is not None and wanted.get("enable_thinking") is not False
    if tools.must:
        # Nothing but calls is said then, so that a format of what else is said is met. Instructor asks for both.
        if order.grammar is not None and not order.grammar.param.startswith("response_format"):
            raise InvalidRequest(f"tool_choice forbids what {order.grammar.param} asks for", param="tool_choice")
        order.grammar = tools.grammar(family)
    elif tools.definitions and order.grammar is not None:
        order.grammar = tools.or_document(family, order.grammar)
    if order.grammar is not None and thinking and family.thinks is not None:
        order.grammar = msgspec.structs.replace(order.grammar, after=family.thinks.ending, opens=family.thinks.opening)
    separates = thinking and values["separate_reasoning"]
    if not tools.definitions and not separates and family.format != "gpt_oss":
        return
    order.make_parser = lambda: tools.parser(family, thinking=separates)
    if family.needs_special:
        order.limits = msgspec.structs.replace(order.limits, keep_special=True)


def completion_order(body: dict[str, Any], offer: ServedModel) -> GenerationRequest:
    """The order in a body of /v1/completions. Raises InvalidRequest, NotFound."""
    values = COMPLETIONS.read(body)
    check_model(values["model"], offer)
    order = _order(values, offer, DEFAULT_COMPLETION_TOKENS)
    if order.limits.max_tokens == 0 and not values["echo"]:
        raise InvalidRequest("max_tokens must be at least 1, unless echo is true", param="max_tokens")
    order.echo = values["echo"]
    order.add_special_tokens = values["add_special_tokens"]
    num_top, hides_output = values["logprobs"], False
    if num_top is not None:
        order.shows_logprobs = True
        order.scoring = LogprobParams(num_top=num_top, prompt_from=0 if order.echo else -1)
        if order.limits.max_tokens == 0:
            order.limits = msgspec.structs.replace(order.limits, max_tokens=1)
            hides_output = True
    n = _best_of(values, order)
    order.prompts = values["prompt"]
    for prompt in order.prompts:
        check_context("prompt", prompt, offer)
    samplings = _samplings({**values, "n": n}, offer, len(order.prompts))
    order.choices = [
        ChoiceSpec(sampling, order.prompts[i // n], prompt_index=i // n, hides_output=hides_output)
        for i, sampling in enumerate(samplings)
    ]
    return order


def _template_arguments(values: dict[str, Any]) -> bytes:
    """A JSON object of variables for the chat template."""
    arguments = dict(values["chat_template_kwargs"])
    for name in ("add_generation_prompt", "continue_final_message", "documents", "reasoning_effort"):
        if values[name] not in (None, False) or (name == "add_generation_prompt" and values[name] is False):
            arguments[name] = values[name]
    return _encoder.encode(arguments) if arguments else b""


def _chat_scoring(values: dict[str, Any]) -> LogprobParams | None:
    if values["top_logprobs"] and not values["logprobs"]:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return LogprobParams(num_top=values["top_logprobs"] or 0) if values["logprobs"] else None


def _best_of(values: dict[str, Any], order: GenerationRequest) -> int:
    """How many choices of each prompt are made."""
    n, best_of = values["n"], values["best_of"]
    if best_of in (None, n):
        return int(n)
    if best_of < n:
        raise InvalidRequest("best_of must not be smaller than n", param="best_of")
    if order.stream:
        raise InvalidRequest("best_of is not known before the end, so it can't be streamed", param="best_of")
    order.num_shown = n
    order.scoring = order.scoring or LogprobParams()
    return int(best_of)


def _order(values: dict[str, Any], offer: ServedModel, default_max_tokens: int) -> GenerationRequest:
    options = values["stream_options"] or {}
    return GenerationRequest(
        model=offer.model,
        limits=_limits(values, default_max_tokens),
        choices=[],
        stream=values["stream"],
        include_usage=options.get("include_usage", False),
        continuous_usage=options.get("continuous_usage_stats", False) and options.get("include_usage", False),
        event_ids=options.get("event_ids", False),
        seed_is_drawn=values["seed"] is None,
        salt=values["cache_salt"],
        grammar=grammar_of(values),
    )


def _limits(values: dict[str, Any], default_max_tokens: int) -> StopConditions:
    given = {values["max_tokens"], values["max_completion_tokens"]} - {None}
    if len(given) > 1:
        raise InvalidRequest("max_tokens and max_completion_tokens contradict each other", param="max_tokens")
    max_tokens = given.pop() if given else default_max_tokens
    limits = StopConditions(
        max_tokens=max_tokens,
        ignore_eos=values["ignore_eos"],
        stop=values["stop"],
        stop_token_ids=values["stop_token_ids"],
        min_tokens=values["min_tokens"],
        stop_regex=values["stop_regex"],
        keep_stop=values["no_stop_trim"] or values["include_stop_str_in_output"],
        keep_special=not values["skip_special_tokens"],
    )
    if max_tokens != REST_OF_CONTEXT and values["min_tokens"] > max_tokens:
        raise InvalidRequest("min_tokens is larger than max_tokens", param="min_tokens")
    return limits


def _samplings(values: dict[str, Any], offer: ServedModel, num_prompts: int) -> list[SamplingParams]:
    """Of each choice, prompt by prompt. A given seed gives every prompt what it would get when sent alone."""
    n = values["n"]
    check_number(n * num_prompts, "sequences are asked for", "n" if n > 1 else "prompt", offer)
    sampling = read_sampling(values, offer)
    seed = values["seed"]
    drawn = seed is None
    seeds = successive(random.getrandbits(63), n * num_prompts) if drawn else successive(seed, n) * num_prompts
    return [msgspec.structs.replace(sampling, seed=each) for each in seeds]


def read_sampling(values: dict[str, Any], offer: ServedModel) -> SamplingParams:
    """How tokens are drawn, but for the seed. Raises InvalidRequest."""
    bias_ids, bias_values = values["logit_bias"]
    check_vocabulary("logit_bias", bias_ids, offer)
    own = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0} | offer.sampling
    own |= {name: values[name] for name in own if values[name] is not None}
    return SamplingParams(
        temperature=own["temperature"],
        top_p=own["top_p"],
        top_k=max(int(own["top_k"]), 0),
        min_p=own["min_p"],
        repetition_penalty=own["repetition_penalty"],
        frequency_penalty=values["frequency_penalty"],
        presence_penalty=values["presence_penalty"],
        bias_ids=bias_ids,
        bias_values=bias_values,
    )


def successive(seed: int, count: int) -> list[int]:
    """The seeds of so many choices."""
    return [(seed + i) & SEED_MASK for i in range(count)]
