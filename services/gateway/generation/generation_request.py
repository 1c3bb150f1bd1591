"""A request of any API for generated text, scores or vectors: its choices, and how they are to be delivered."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.seeds import successive_seeds, with_seed
from xylem.services.gateway.output_parsers.deltas import Parser, PlainParser
from xylem.shared.protocol import GenerationParams


@dataclass(slots=True)
class ChoiceSpec:
    """One sequence. Exactly one of prompt (text or a column of ids) and messages is set.

    params: all that is asked of its generation, as the executor gets it. name: what the client calls it.
    """

    params: GenerationParams
    prompt: Prompt | None = None
    messages: bytes | None = None
    prompt_index: int = 0  # choices of one prompt share its tokens, which are counted once
    hides_output: bool = False  # only the prompt is to be read, which takes a token
    name: str = ""


@dataclass(slots=True)
class GenerationRequest:
    """One HTTP request as the pipeline is asked for it."""

    model: str
    choices: list[ChoiceSpec]
    stream: bool = False
    include_usage: bool = False
    continuous_usage: bool = False
    event_ids: bool = False
    by_token: bool = False  # the reader is told of each token by itself
    is_counted: bool = True  # against the limits of open requests
    seed_is_drawn: bool = False  # here, since the client gave none
    echo: bool = False
    template_arguments: bytes = b""
    tools: bytes = b""  # JSON list for the chat template
    add_special_tokens: bool = True
    make_parser: Callable[[str], Parser] = PlainParser  # of the beginning of the answer that the prompt ends with
    answer_markers: tuple[str, ...] = ()  # by which the tokenizer knows that beginning
    shows_logprobs: bool = False
    names_tool: bool = False  # the one that must be called
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
    def params(self) -> GenerationParams:
        """Returns the parameters of the first choice: tenant, salt and pooling are the same for all of them."""
        return self.choices[0].params

    @property
    def only_echoes(self) -> bool:
        """Whether the prompts are wanted back, and nothing else."""
        return self.params.stop_conditions.max_tokens == 0

    @property
    def base_seed(self) -> int:
        """The seed of the first choice."""
        return self.params.sampling.seed

    def assign_tenant(self, tenant: str, cache_salt: str) -> None:
        """Makes it a request of this tenant, that shares prefixes with those of this salt only."""
        for choice in self.choices:
            choice.params = msgspec.structs.replace(choice.params, tenant=tenant, cache_salt=cache_salt)

    def use_seed(self, seed: int) -> None:
        """Samples as an earlier request with the same body did, for which `seed` was drawn."""
        if self.seed_is_drawn:
            for choice, each in zip(self.choices, successive_seeds(seed, len(self.choices)), strict=True):
                choice.params = with_seed(choice.params, each)
