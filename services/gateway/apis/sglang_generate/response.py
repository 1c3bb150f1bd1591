"""This module writes the answers of /generate, whole and in events."""

import time
from collections.abc import Callable

import msgspec

from xylem.services.gateway.apis.sglang_generate.logprobs import Triple, logprobs_of
from xylem.services.gateway.apis.sglang_generate.request import Generation
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.http.response_writer import ChunkUsage, Head, PlainEvents, Usage
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import ITEM_BYTES, count, unpack

Triples = list[Triple] | msgspec.UnsetType
ListsOfTriples = list[list[Triple] | None] | msgspec.UnsetType


class FinishedBy(msgspec.Struct, frozen=True, gc=False):
    """type: stop, length or abort. matched: the stop string or token id, null for none."""

    type: str
    length: int | msgspec.UnsetType = msgspec.UNSET
    matched: int | str | msgspec.UnsetType | None = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class MetaInfo(msgspec.Struct, frozen=True, gc=False):
    """finish_reason: null while it runs. The log probabilities are absent unless they were asked for."""

    id: str
    finish_reason: FinishedBy | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    input_token_logprobs: Triples
    input_top_logprobs: ListsOfTriples
    input_token_ids_logprobs: ListsOfTriples
    output_token_logprobs: Triples
    output_top_logprobs: ListsOfTriples
    output_token_ids_logprobs: ListsOfTriples
    e2e_latency: float | msgspec.UnsetType


class GeneratedText(msgspec.Struct, frozen=True, gc=False):
    """index: of the choice, in the events of a batch."""

    text: str
    output_ids: list[int]
    meta_info: MetaInfo
    index: int | msgspec.UnsetType = msgspec.UNSET


class GenerateResponseWriter(PlainEvents):
    """An event has all that its choice has come to so far: SGLang's clients read it so, unless they ask otherwise."""

    def __init__(self, head: Head, generation: Generation, clock: Callable[[], float] = time.perf_counter) -> None:
        self._head = head
        self._generation = generation
        self._results = [ChoiceOutput() for _ in generation.wanted]
        self._clock = clock
        self._begun_s = clock()

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[GeneratedText]:
        result = self._results[piece.index]
        result.add_output(piece)
        if not (piece.text or piece.token_ids or piece.finish or piece.prompt_scored):
            return []
        shown = result
        if self._generation.incremental:
            shown = ChoiceOutput()
            shown.add_output(piece)
        answer = self._answer(piece.index, shown, result)
        return [msgspec.structs.replace(answer, index=piece.index) if self._generation.batch else answer]

    def build_closing(self, usage: Usage) -> list[GeneratedText]:
        return []

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> GeneratedText | list[GeneratedText]:
        answers = [self._answer(index, result, result) for index, result in enumerate(results)]
        return answers if self._generation.batch else answers[0]

    def _answer(self, index: int, shown: ChoiceOutput, total: ChoiceOutput) -> GeneratedText:
        """shown: what is told of it now. total: all that there is so far."""
        wanted = self._generation.wanted[index]
        prompt, output = logprobs_of(shown.prompt_scored, wanted), logprobs_of(shown.scored, wanted)
        meta = MetaInfo(
            id=wanted.name or self._id(index),
            finish_reason=finish_reason(total),
            prompt_tokens=total.num_prompt_tokens,
            completion_tokens=count(total.token_ids),
            cached_tokens=total.num_cached_tokens,
            input_token_logprobs=prompt.own,
            input_top_logprobs=prompt.top,
            input_token_ids_logprobs=prompt.asked,
            output_token_logprobs=output.own,
            output_top_logprobs=output.top,
            output_token_ids_logprobs=output.asked,
            e2e_latency=self._clock() - self._begun_s if total.finish else msgspec.UNSET,
        )
        return GeneratedText(shown.said.content, unpack(shown.token_ids).tolist(), meta)

    def _id(self, index: int) -> str:
        return f"{self._head.id}-{index}" if self._generation.batch else self._head.id


def finish_reason(result: ChoiceOutput) -> FinishedBy | None:
    """Why a choice has ended: null while it runs."""
    match result.finish:
        case FinishReason.NONE:
            return None
        case FinishReason.LENGTH:
            return FinishedBy("length", length=count(result.token_ids))
        case FinishReason.STOP:
            last = unpack(result.token_ids[-ITEM_BYTES:]).tolist()
            return FinishedBy("stop", matched=result.matched if result.matched is not None else next(iter(last), None))
    return FinishedBy("abort", message="aborted")
