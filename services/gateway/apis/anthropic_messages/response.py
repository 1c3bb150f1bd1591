"""A message and its stream of events, as answers of the pipeline are written for /v1/messages."""

from typing import ClassVar

import msgspec

from xylem.services.gateway.apis.anthropic_messages import errors as problems
from xylem.services.gateway.apis.anthropic_messages.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Error,
    Event,
    InputDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    Stop,
    TextBlockDelta,
    ThinkingDelta,
)
from xylem.services.gateway.apis.anthropic_messages.request import NAMES
from xylem.services.gateway.apis.anthropic_messages.schema import (
    AnthropicMessage,
    Block,
    MessageUsage,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.http.response_writer import ChunkUsage, Head, Usage, call_id
from xylem.services.gateway.http.server_sent_event import named_event
from xylem.services.gateway.output_parsers.deltas import Call, CallArguments, CallBegun, Content, Delta, Reasoning
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime.errors import XylemError

_decoder = msgspec.json.Decoder()


class MessageResponseWriter:
    """stops: the client's stop sequences. Its request has one choice, and usage comes with every piece."""

    named: ClassVar[bool] = True

    def __init__(self, head: Head, stops: tuple[str, ...]) -> None:
        self._head = head
        self._stops = stops
        self._begun = False
        self._num_blocks = 0
        self._open: type[Delta] | None = None  # what the open block holds; a call's holds CallArguments
        self._num_calls = 0
        self._stop = Stop("end_turn", None)

    def write_event(self, chunk: Event) -> bytes:
        return named_event(chunk)

    def build_chunks(self, piece: OutputDelta, usage: ChunkUsage) -> list[Event]:
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            assert isinstance(usage, Usage)
            events += [MessageStart(self._message([], Stop("", None), usage)), Ping()]
        for delta in (*piece.deltas, *piece.last_deltas):
            events += self._told(delta)
        if piece.finish:
            if not self._num_blocks:  # an answer of nothing is still a text
                events += self._begin(Content, TextBlock(""))
            events += self._close()
            self._stop = self._stop_of(piece, called=self._num_calls > 0)
        return events

    def build_closing(self, usage: Usage) -> list[Event]:
        return [MessageDelta(self._stop, MessageUsage.of(usage)), MessageStop()]

    def build_failure(self, error: XylemError) -> list[Event]:
        return [Error(problems.problem_details(NAMES.translated(error)))]

    def build_response(self, results: list[ChoiceOutput], usage: Usage) -> AnthropicMessage:
        (result,) = results
        said = result.said
        blocks: list[Block] = []
        if said.reasoning:
            blocks.append(ThinkingBlock(said.reasoning))
        if said.content or not said.calls:
            blocks.append(TextBlock(said.content))
        blocks += [self._call(i, call) for i, call in enumerate(said.calls)]
        return self._message(blocks, self._stop_of(result, called=bool(said.calls)), usage)

    def _message(self, blocks: list[Block], stop: Stop, usage: Usage) -> AnthropicMessage:
        return AnthropicMessage(
            id=self._head.id.replace("-", "_", 1),
            model=self._head.model,
            content=blocks,
            stop_reason=stop.stop_reason or None,
            stop_sequence=stop.stop_sequence,
            usage=MessageUsage.of(usage),
        )

    def _told(self, delta: Delta) -> list[Event]:
        match delta:
            case Content(text):
                return self._in_block(Content, TextBlock(""), TextBlockDelta(text))
            case Reasoning(text):
                return self._in_block(Reasoning, ThinkingBlock(""), ThinkingDelta(text))
            case CallBegun(index, name):
                self._num_calls += 1
                return self._begin(CallArguments, ToolUseBlock(self._call_id(index), name, {}))
            case CallArguments(_, text):
                return [BlockDelta(self._num_blocks - 1, InputDelta(text))]

    def _in_block(self, kind: type[Delta], empty: Block, delta: TextBlockDelta | ThinkingDelta) -> list[Event]:
        begun = [] if self._open is kind else self._begin(kind, empty)
        return [*begun, BlockDelta(self._num_blocks - 1, delta)]

    def _begin(self, kind: type[Delta], empty: Block) -> list[Event]:
        closed = self._close()
        self._open = kind
        self._num_blocks += 1
        return [*closed, BlockStart(self._num_blocks - 1, empty)]

    def _close(self) -> list[Event]:
        is_open, self._open = self._open is not None, None
        return [BlockStop(self._num_blocks - 1)] if is_open else []

    def _stop_of(self, ended: OutputDelta | ChoiceOutput, *, called: bool) -> Stop:
        if ended.finish is FinishReason.LENGTH:
            return Stop("max_tokens", None)
        if called:
            return Stop("tool_use", None)
        if ended.matched is not None and ended.matched in self._stops:
            return Stop("stop_sequence", ended.matched)
        return Stop("end_turn", None)

    def _call(self, index: int, call: Call) -> ToolUseBlock:
        return ToolUseBlock(self._call_id(index), call.name, _input_of(call))

    def _call_id(self, index: int) -> str:
        return call_id(self._head, 0, index).replace("call_", "toolu_", 1)


def _input_of(call: Call) -> JsonObject:
    """Empty when the arguments were cut off: stop_reason says so, and half an object is none."""
    try:
        arguments: Json = _decoder.decode(call.arguments)
    except msgspec.DecodeError:
        return {}
    return arguments if type(arguments) is dict else {}
