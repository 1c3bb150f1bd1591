"""text_completion, whole and in chunks."""

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import text_of
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.logprobs import LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.http.response_writer import REASONS, ChunkUsage, Head, PlainEvents, Usage, matched_stop
from xylem.services.gateway.output_parsers.deltas import Content, Delta


class CompletionLogprobs(msgspec.Struct, frozen=True, gc=False):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    text: str
    finish_reason: str | None = None
    logprobs: CompletionLogprobs | None = None
    matched_stop: int | str | msgspec.UnsetType | None = msgspec.UNSET


class Completion(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: ChunkUsage = msgspec.UNSET
    object: str = "text_completion"


class CompletionResponseWriter(PlainEvents):
    """Writes the answers of /v1/completions. echoes: the text before each choice's own. num_top: of logprobs."""

    def __init__(self, head: Head, echoes: list[str], num_top: int | None = None) -> None:
        self._head = head
        self._echoes = echoes
        self._num_top = num_top
        self._begun: set[int] = set()

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[msgspec.Struct]:
        index = piece.index
        text, prompt_scored, scored = _text(piece.deltas), piece.prompt_scored, piece.scored
        if index not in self._begun:
            self._begun.add(index)
            text = self._echo(index) + text
        chunks: list[msgspec.Struct] = []
        if text or (not piece.finish and (scored or prompt_scored)):
            logprobs = self._logprobs(index, prompt_scored, scored)
            chunks.append(self._completion([CompletionChoice(index, text, logprobs=logprobs)], usage))
            prompt_scored, scored = [], []
        if piece.finish:
            last = CompletionChoice(
                index,
                _text(piece.last_deltas),
                REASONS[piece.finish],
                self._logprobs(index, prompt_scored, scored + piece.last_scored),
                matched_stop(piece),
            )
            chunks.append(self._completion([last], usage))
        return chunks

    def build_closing(self, usage: Usage) -> list[msgspec.Struct]:
        return [self._completion([], usage)]

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> msgspec.Struct:
        choices = [
            CompletionChoice(
                index,
                self._echo(index) + result.said.content,
                REASONS[result.finish],
                self._logprobs(index, result.prompt_scored, result.scored),
                matched_stop(result),
            )
            for index, result in enumerate(results)
        ]
        return self._completion(choices, usage)

    def _echo(self, index: int) -> str:
        return self._echoes[index] if self._echoes else ""

    def _logprobs(
        self, index: int, prompt_scored: list[LogprobToken], scored: list[LogprobToken]
    ) -> CompletionLogprobs | None:
        tokens = [(token, 0) for token in prompt_scored]
        tokens += [(token, len(self._echo(index))) for token in scored]
        if self._num_top is None or not tokens:
            return None
        return CompletionLogprobs(
            tokens=[text_of(token.text) for token, _ in tokens],
            token_logprobs=[token.logprob for token, _ in tokens],
            top_logprobs=[_top(token) for token, _ in tokens] if self._num_top else None,
            text_offset=[shift + token.start for token, shift in tokens],
        )

    def _completion(self, choices: list[CompletionChoice], usage: ChunkUsage) -> Completion:
        head = self._head
        return Completion(id=head.id, created=head.created, model=head.model, choices=choices, usage=usage)


def _text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Content))


def _top(token: LogprobToken) -> dict[str, float] | None:
    """The likeliest, and the token itself if it is not among them. Of tokens that look alike the likelier counts."""
    if token.logprob is None:
        return None
    top: dict[str, float] = {}
    for other in token.top:
        top.setdefault(text_of(other.text), other.logprob)
    top.setdefault(text_of(token.text), token.logprob)
    return top
