"""This module writes the answers of /generate, whole and in events."""

import time
from collections.abc import Callable
from typing import Any

from xylem.services.gateway.apis.sglang_generate.logprobs import logprobs_of
from xylem.services.gateway.apis.sglang_generate.request import Generation
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.http.response_writer import ChunkUsage, Head, PlainEvents, Usage
from xylem.shared.protocol import FinishReason
from xylem.shared.protocol.columns import ITEM_BYTES, count, unpack


class GenerateResponseWriter(PlainEvents):
    """An event has all that its choice has come to so far: SGLang's clients read it so, unless they ask otherwise."""

    def __init__(self, head: Head, generation: Generation, clock: Callable[[], float] = time.perf_counter) -> None:
        self._head = head
        self._generation = generation
        self._results = [ChoiceOutput() for _ in generation.wanted]
        self._clock = clock
        self._begun_s = clock()

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[dict[str, Any]]:
        result = self._results[piece.index]
        result.add_output(piece)
        if not (piece.text or piece.token_ids or piece.finish or piece.prompt_scored):
            return []
        shown = result
        if self._generation.incremental:
            shown = ChoiceOutput()
            shown.add_output(piece)
        answer = self._answer(piece.index, shown, result)
        return [{**answer, "index": piece.index} if self._generation.batch else answer]

    def build_closing(self, usage: Usage) -> list[dict[str, Any]]:
        return []

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> Any:
        answers = [self._answer(index, result, result) for index, result in enumerate(results)]
        return answers if self._generation.batch else answers[0]

    def _answer(self, index: int, shown: ChoiceOutput, total: ChoiceOutput) -> dict[str, Any]:
        """shown: what is told of it now. total: all that there is so far."""
        wanted = self._generation.wanted[index]
        meta: dict[str, Any] = {
            "id": wanted.name or self._id(index),
            "finish_reason": finish_reason(total),
            "prompt_tokens": total.num_prompt_tokens,
            "completion_tokens": count(total.token_ids),
            "cached_tokens": total.num_cached_tokens,
        }
        if wanted.logprobs:
            meta |= logprobs_of("input", shown.prompt_scored, wanted)
            meta |= logprobs_of("output", shown.scored, wanted)
        if total.finish:
            meta["e2e_latency"] = self._clock() - self._begun_s
        return {"text": shown.said.content, "output_ids": unpack(shown.token_ids).tolist(), "meta_info": meta}

    def _id(self, index: int) -> str:
        return f"{self._head.id}-{index}" if self._generation.batch else self._head.id


def finish_reason(result: ChoiceOutput) -> dict[str, Any] | None:
    """Why a choice has ended: null while it runs."""
    match result.finish:
        case FinishReason.NONE:
            return None
        case FinishReason.LENGTH:
            return {"type": "length", "length": count(result.token_ids)}
        case FinishReason.STOP:
            last = unpack(result.token_ids[-ITEM_BYTES:]).tolist()
            return {"type": "stop", "matched": result.matched if result.matched is not None else next(iter(last), None)}
    return {"type": "abort", "message": "aborted"}
