"""SGLang's /v1/score: how likely some tokens are right after each prompt."""

import math

import msgspec

from xylem.services.gateway.apis.embeddings.fields import ScoreBody
from xylem.services.gateway.apis.embeddings.numbers import softmax
from xylem.services.gateway.apis.embeddings.request import check_prompt
from xylem.services.gateway.apis.embeddings.response import PromptUsage
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.read_params import from_body
from xylem.services.gateway.generation.served_model import (
    ServedModel,
    check_number,
    check_prompt_ids,
    check_vocabulary,
)
from xylem.services.gateway.http.response_writer import Head, Usage, WholeOnly
from xylem.shared.protocol import GenerationParams, LogprobParams, SamplingParams, StopConditions
from xylem.shared.runtime.errors import Internal, InvalidRequest


def label_request(body: ScoreBody, served: ServedModel) -> GenerationRequest:
    """Returns a request for one token after each prompt, with the labels' log probabilities there.

    Raises InvalidRequest.
    """
    prompts = _prompts(body, served)
    labels = body.label_token_ids
    if not labels:
        raise InvalidRequest("label_token_ids is missing or empty", param="label_token_ids")
    check_vocabulary("label_token_ids", labels, served)
    check_number(len(prompts), "items are given", "items", served)
    for prompt in prompts:
        check_prompt("items", prompt, served)
    params = from_body(
        GenerationParams(),
        body,
        sampling=SamplingParams(temperature=0.0),
        stop_conditions=StopConditions(max_tokens=1, ignore_eos=True),
        logprobs=LogprobParams(token_ids=labels),
        pooling="",
    )
    return GenerationRequest(
        model=served.model,
        choices=[ChoiceSpec(params, prompt, prompt_index=i) for i, prompt in enumerate(prompts)],
        add_special_tokens=body.add_special_tokens,
        keeps_cut_scores=True,
        prompts=prompts,
    )


def _prompts(body: ScoreBody, served: ServedModel) -> list[Prompt]:
    queries, items = body.query, body.items
    if queries is None:
        raise InvalidRequest("query is missing", param="query")
    if items is None:
        raise InvalidRequest("items is missing", param="items")
    if len(queries) != 1:
        raise InvalidRequest(f"query must be one text, not {len(queries)}", param="query")
    for name, prompts in (("query", queries), ("items", items)):
        for prompt in prompts:
            check_prompt_ids(name, prompt, served)
    return [_joined(queries[0], item, item_first=body.item_first) for item in items]


def _joined(query: Prompt, item: Prompt, *, item_first: bool) -> Prompt:
    first, second = (item, query) if item_first else (query, item)
    if isinstance(first, str) and isinstance(second, str):
        return first + second
    if isinstance(first, bytes) and isinstance(second, bytes):
        return first + second
    raise InvalidRequest("query and items must both be texts, or both token ids", param="items")


class LabelScores(msgspec.Struct, frozen=True, gc=False):
    scores: list[list[float]]  # of each item: of each label
    model: str
    usage: PromptUsage
    object: str = "scoring"


class LabelScoreWriter(WholeOnly):
    """among_labels: probabilities of the labels alone, instead of those in the whole vocabulary."""

    def __init__(self, head: Head, *, among_labels: bool) -> None:
        self._head = head
        self._among_labels = among_labels

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> LabelScores:
        """Raises Internal when the executor gave no scores."""
        return LabelScores([self._scores(result) for result in results], self._head.model, PromptUsage.of(usage))

    def _scores(self, result: ChoiceOutput) -> list[float]:
        if not result.scored or not result.scored[0].asked:
            raise Internal("no log probabilities came with the answer")
        logprobs = result.scored[0].asked
        return softmax(logprobs) if self._among_labels else [math.exp(logprob) for logprob in logprobs]
