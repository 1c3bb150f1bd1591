"""What a client has ordered: the choices to be generated and how they are to be delivered."""

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.gateway.chat_messages import read_messages
from services.gateway.field_tables import CHAT, COMPLETIONS
from services.gateway.kinds import Prompt
from shared.columns import count
from shared.errors import ContextTooLong, InvalidRequest, NotFound
from shared.messages import Limits, Sampling

SEED_MASK = 2**63 - 1
DEFAULT_COMPLETION_TOKENS = 16
REST_OF_CONTEXT = -1

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Choice:
    """One sequence. Exactly one of prompt (text or a column of ids) and messages is set."""

    sampling: Sampling
    prompt: Prompt | None = None
    messages: bytes | None = None
    prompt_index: int = 0  # choices of one prompt share its tokens, which are counted once


@dataclass(slots=True)
class Order:
    """One HTTP request, understood."""

    model: str
    limits: Limits
    choices: list[Choice]
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    event_ids: bool = False
    seed_is_drawn: bool = False  # here, since the client gave none
    echo: bool = False
    salt: str = ""
    tenant: str = ""
    template_arguments: bytes = b""
    prompts: list[Prompt] = field(default_factory=list)
    prompt_texts: list[str] = field(default_factory=list)  # with echo: of each prompt
    prompt_counts: list[int] = field(default_factory=list)  # with echo and nothing generated: tokens of each prompt

    @property
    def base_seed(self) -> int:
        """That of the first choice."""
        return self.choices[0].sampling.seed

    def use_seed(self, seed: int) -> None:
        """Draws as an earlier order of the same body did, which had drawn this seed."""
        if self.seed_is_drawn:
            for choice, each in zip(self.choices, _successive(seed, len(self.choices)), strict=True):
                choice.sampling = msgspec.structs.replace(choice.sampling, seed=each)


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be ordered here."""

    model: str
    context_length: int
    max_choices: int  # of one request


class ModelNotFound(NotFound):
    code = "model_not_found"


def check_model(model: str | None, offer: Offer) -> None:
    """Raises NotFound unless it is the one that is served. No model means that one."""
    if model is not None and model != offer.model:
        raise ModelNotFound(f"the model {model[:200]!r} does not exist here; there is {offer.model!r}", param="model")


def chat_order(body: dict[str, Any], offer: Offer) -> Order:
    """The order in a body of /v1/chat/completions. Raises InvalidRequest, NotFound."""
    values = CHAT.read(body)
    check_model(values["model"], offer)
    order = _order(values, offer, REST_OF_CONTEXT)
    if order.limits.max_tokens == 0:
        raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
    messages = read_messages(values["messages"])
    if values["chat_template_kwargs"]:
        order.template_arguments = _encoder.encode(values["chat_template_kwargs"])
    samplings = _samplings(values, offer, num_prompts=1)
    order.choices = [Choice(sampling=sampling, messages=messages) for sampling in samplings]
    return order


def completion_order(body: dict[str, Any], offer: Offer) -> Order:
    """The order in a body of /v1/completions. Raises InvalidRequest, NotFound."""
    values = COMPLETIONS.read(body)
    check_model(values["model"], offer)
    order = _order(values, offer, DEFAULT_COMPLETION_TOKENS)
    if order.limits.max_tokens == 0 and not values["echo"]:
        raise InvalidRequest("max_tokens must be at least 1, unless echo is true", param="max_tokens")
    if values["best_of"] not in (None, values["n"]):
        raise InvalidRequest("best_of other than n is not supported yet", param="best_of")
    order.echo = values["echo"]
    order.prompts = values["prompt"]
    for prompt in order.prompts:
        if isinstance(prompt, bytes) and count(prompt) > offer.context_length:
            raise ContextTooLong(
                f"the prompt has {count(prompt)} tokens; the model's context holds {offer.context_length}",
                param="prompt",
            )
    samplings = _samplings(values, offer, len(order.prompts))
    order.choices = [
        Choice(sampling=sampling, prompt=order.prompts[i // values["n"]], prompt_index=i // values["n"])
        for i, sampling in enumerate(samplings)
    ]
    return order


def _order(values: dict[str, Any], offer: Offer, default_max_tokens: int) -> Order:
    options = values["stream_options"] or {}
    return Order(
        model=offer.model,
        limits=_limits(values, default_max_tokens),
        choices=[],
        stream=values["stream"],
        include_usage=options.get("include_usage", False),
        continuous_usage=options.get("continuous_usage_stats", False) and options.get("include_usage", False),
        event_ids=options.get("event_ids", False),
        seed_is_drawn=values["seed"] is None,
        salt=values["cache_salt"],
    )


def _limits(values: dict[str, Any], default_max_tokens: int) -> Limits:
    given = {values["max_tokens"], values["max_completion_tokens"]} - {None}
    if len(given) > 1:
        raise InvalidRequest("max_tokens and max_completion_tokens contradict each other", param="max_tokens")
    max_tokens = given.pop() if given else default_max_tokens
    limits = Limits(
        max_tokens=max_tokens,
        ignore_eos=values["ignore_eos"],
        stop=values["stop"],
        stop_token_ids=values["stop_token_ids"],
    )
    can_stop_early = not limits.ignore_eos or limits.stop or limits.stop_token_ids
    if values["min_tokens"] and can_stop_early:
        # Load generators send it with ignore_eos, where it changes nothing.
        raise InvalidRequest("min_tokens is not supported yet without ignore_eos, or with stop", param="min_tokens")
    if max_tokens != REST_OF_CONTEXT and values["min_tokens"] > max_tokens:
        raise InvalidRequest("min_tokens is larger than max_tokens", param="min_tokens")
    return limits


def _samplings(values: dict[str, Any], offer: Offer, num_prompts: int) -> list[Sampling]:
    """Of each choice, prompt by prompt. A given seed gives every prompt what it would get when sent alone."""
    n = values["n"]
    if n * num_prompts > offer.max_choices:
        raise InvalidRequest(
            f"{n * num_prompts} sequences are asked for; this gateway holds {offer.max_choices}",
            param="n" if n > 1 else "prompt",
        )
    seed = values["seed"]
    drawn = seed is None
    seeds = _successive(random.getrandbits(63), n * num_prompts) if drawn else _successive(seed, n) * num_prompts
    return [
        Sampling(
            temperature=values["temperature"],
            top_p=values["top_p"],
            top_k=max(values["top_k"], 0),
            min_p=values["min_p"],
            seed=seed_of_choice,
        )
        for seed_of_choice in seeds
    ]


def _successive(seed: int, count: int) -> list[int]:
    return [(seed + i) & SEED_MASK for i in range(count)]
