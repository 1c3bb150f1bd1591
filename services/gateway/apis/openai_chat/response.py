"""chat.completion and chat.completion.chunk."""

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import ChatLogprobs, logprobs_of
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.http.response_writer import (
    REASONS,
    ChunkUsage,
    Head,
    PlainEvents,
    Usage,
    call_id,
    matched_stop,
)
from xylem.services.gateway.output_parsers.deltas import Call, CallArguments, CallBegun, Content, Reasoning
from xylem.services.gateway.output_parsers.deltas import Delta as ParserDelta
from xylem.shared.protocol import FinishReason


class FunctionDelta(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    arguments: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET


class CallDelta(msgspec.Struct, frozen=True, gc=False):
    index: int
    function: FunctionDelta
    id: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET


class Delta(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None
    matched_stop: int | str | msgspec.UnsetType | None = msgspec.UNSET


class Chunk(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...]
    usage: ChunkUsage = msgspec.UNSET
    object: str = "chat.completion.chunk"


class Function(msgspec.Struct, frozen=True, gc=False):
    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    id: str
    function: Function
    type: str = "function"


class AnswerMessage(msgspec.Struct, frozen=True, gc=False):
    content: str | None
    role: str = "assistant"
    refusal: None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ToolCall] | msgspec.UnsetType = msgspec.UNSET


class AnswerChoice(msgspec.Struct, frozen=True, gc=False):
    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: ChatLogprobs | None = None
    matched_stop: int | str | msgspec.UnsetType | None = msgspec.UNSET


class Answer(msgspec.Struct, frozen=True, gc=False):
    id: str
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: Usage
    object: str = "chat.completion"


class ChatResponseWriter(PlainEvents):
    """Writes the answers of /v1/chat/completions.

    with_logprobs: log probabilities were asked for. names_tool: one tool was named to be called, after which OpenAI's
    API says `stop`, since nothing had to be decided.
    """

    def __init__(self, head: Head, *, with_logprobs: bool = False, names_tool: bool = False) -> None:
        self._head = head
        self._with_logprobs = with_logprobs
        self._call_reason = REASONS[FinishReason.STOP] if names_tool else "tool_calls"
        self._begun: set[int] = set()

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[msgspec.Struct]:
        chunks: list[msgspec.Struct] = []
        if piece.index not in self._begun:
            self._begun.add(piece.index)
            chunks.append(self._chunk(piece.index, Delta(role="assistant", content=""), usage))
        if piece.deltas or piece.scored:
            logprobs = logprobs_of(piece.scored) if self._with_logprobs else None
            chunks.append(self._chunk(piece.index, self._delta(piece, piece.deltas), usage, logprobs=logprobs))
        if piece.finish:
            last = self._delta(piece, piece.last_deltas)
            reason = self._reason(piece.finish, called=piece.called)
            logprobs = logprobs_of(piece.last_scored) if self._with_logprobs and piece.last_scored else None
            chunks.append(
                self._chunk(piece.index, last, usage, logprobs=logprobs, reason=reason, matched=matched_stop(piece))
            )
        return chunks

    def _delta(self, piece: OutputDelta, deltas: list[ParserDelta]) -> Delta:
        """All in one, since a stream that breaks off can go on only between two chunks of a piece."""
        content = reasoning = ""
        calls: list[CallDelta] = []
        for delta in deltas:
            match delta:
                case Content(text):
                    content += text
                case Reasoning(text):
                    reasoning += text
                case CallBegun(index, name):
                    identity = call_id(self._head, piece.index, index)
                    calls.append(CallDelta(index, FunctionDelta("", name), identity, "function"))
                case CallArguments(index, text):
                    calls.append(CallDelta(index, FunctionDelta(text)))
        return Delta(content=content or None, reasoning_content=reasoning or None, tool_calls=calls or None)

    def _chunk(
        self,
        index: int,
        delta: Delta,
        usage: ChunkUsage,
        *,
        logprobs: ChatLogprobs | None = None,
        reason: str | None = None,
        matched: int | str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> Chunk:
        choice = ChunkChoice(index, delta, logprobs, reason, matched)
        head = self._head
        return Chunk(id=head.id, created=head.created, model=head.model, choices=(choice,), usage=usage)

    def build_closing(self, usage: Usage) -> list[msgspec.Struct]:
        head = self._head
        return [Chunk(id=head.id, created=head.created, model=head.model, choices=(), usage=usage)]

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> msgspec.Struct:
        choices = [self._choice(index, result) for index, result in enumerate(results)]
        head = self._head
        return Answer(id=head.id, created=head.created, model=head.model, choices=choices, usage=usage)

    def _choice(self, index: int, result: ChoiceOutput) -> AnswerChoice:
        said = result.said
        message = AnswerMessage(
            content=said.content if said.content or not said.calls else None,
            reasoning_content=said.reasoning or msgspec.UNSET,
            tool_calls=[self._call(index, i, call) for i, call in enumerate(said.calls)] or msgspec.UNSET,
        )
        return AnswerChoice(
            index=index,
            message=message,
            finish_reason=self._reason(result.finish, called=bool(said.calls)),
            logprobs=logprobs_of(result.scored) if self._with_logprobs else None,
            matched_stop=matched_stop(result),
        )

    def _reason(self, finish: FinishReason, *, called: bool) -> str:
        # A call that was cut is nobody's to make.
        return self._call_reason if called and finish is FinishReason.STOP else REASONS[finish]

    def _call(self, choice: int, index: int, call: Call) -> ToolCall:
        return ToolCall(call_id(self._head, choice, index), Function(call.name, call.arguments))
