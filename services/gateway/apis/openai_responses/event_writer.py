"""Turns what a model says into the items of a response, and tells a log of every step."""

import time
from typing import Any

import msgspec

from xylem.services.gateway.apis.openai_responses.event_log import EventLog
from xylem.services.gateway.apis.openai_responses.events import ErrorEvent, ResponseEvent
from xylem.services.gateway.apis.openai_responses.open_items import (
    OpenCall,
    OpenCustomCall,
    OpenItem,
    OpenMessage,
    OpenThought,
)
from xylem.services.gateway.apis.openai_responses.schema import (
    IncompleteDetails,
    OutputItem,
    Response,
    ResponseError,
    ResponseUsage,
)
from xylem.services.gateway.apis.openai_responses.thinking_tokens import ThinkingTokens
from xylem.services.gateway.apis.openai_responses.tools import ResponseTools
from xylem.services.gateway.generation.logprobs import LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import Totals
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, Delta, Reasoning
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime.errors import QueueFull, XylemError


class EventWriter:
    """One item is open at a time: text, a thought, or a call; what is of another kind closes it.

    final: what it came to when it was told before: that is its end this time, too.
    """

    def __init__(self, log: EventLog, response: Response, final: Response | None = None) -> None:
        self._log = log
        self._response = response
        self._final = final
        self._tools = ResponseTools.read([*response.tools])
        self._output: list[OutputItem] = []
        self._open: OpenItem | None = None
        self._thinking = ThinkingTokens()
        self._cut = False  # at max_output_tokens

    @property
    def response(self) -> Response:
        """Snapshot without the item that is still open."""
        return msgspec.structs.replace(self._response, output=tuple(self._output))

    def create_response(self) -> None:
        """The first event."""
        self._say("created")
        if self._response.status == "queued":
            self._say("queued")

    def begin_output(self) -> None:
        """It has its first tokens."""
        self._change(status="in_progress")
        self._say("in_progress")

    def add_output(self, piece: OutputDelta) -> None:
        """More of what the model says. Log probabilities go with the text of their piece."""
        self._thinking.add_output(piece)
        scored = piece.scored + piece.last_scored
        for delta in (*piece.deltas, *piece.last_deltas):
            scored = self._add_delta(delta, scored)
        if scored and isinstance(self._open, OpenMessage):  # of tokens without text of their own
            self._open.add_text("", scored)
        self._cut = piece.finish is FinishReason.LENGTH

    def end_response(self, totals: Totals) -> None:
        """The model has finished. An answer of nothing is an empty message: clients look into the first item."""
        if self._open is None and not self._output:
            self._open = self._open_message()
        self._close("incomplete" if self._cut else "completed")
        usage = ResponseUsage.of(totals, self._thinking.count)
        if self._cut:
            self._change(status="incomplete", incomplete_details=IncompleteDetails("max_output_tokens"), usage=usage)
        else:
            self._change(status="completed", completed_at=int(time.time()), usage=usage)
        self._say(self._response.status, self._final)

    def cancel_response(self) -> None:
        """Somebody wants no more. Clients know no event of that name; an incomplete response says that it was so."""
        self._close("incomplete")
        self._change(status="cancelled")
        self._say("incomplete")

    def fail_response(self, error: XylemError) -> None:
        """It can't go on. OpenAI has few codes for this: ours is in the event before."""
        self._close("incomplete")
        code = "rate_limit_exceeded" if isinstance(error, QueueFull) else "server_error"
        code = "invalid_prompt" if error.status == 400 else code
        self._change(status="failed", error=ResponseError(code, error.message))
        self._log.append_event(ErrorEvent, "error", code=error.code, message=error.message, param=error.param)
        self._say("failed")

    def _add_delta(self, delta: Delta, scored: list[LogprobToken]) -> list[LogprobToken]:
        """Returns the tokens that are still to be told."""
        match delta:
            case Content(text):
                if not isinstance(self._open, OpenMessage):
                    self._close("completed")
                    self._open = self._open_message()
                self._open.add_text(text, scored)
                return []
            case Reasoning(text):
                if not isinstance(self._open, OpenThought):
                    self._close("completed")
                    self._open = OpenThought(self._log, len(self._output), self._identity)
                self._open.add_text(text)
            case CallBegun(_, name):
                self._close("completed")
                self._open = self._open_call(name)
            case CallArguments(_, text):
                assert isinstance(self._open, OpenCall | OpenCustomCall), "arguments without a call"
                self._open.add_text(text)
        return scored

    def _open_message(self) -> OpenMessage:
        return OpenMessage(self._log, len(self._output), self._identity)

    def _open_call(self, name: str) -> OpenItem:
        kind = OpenCustomCall if name in self._tools.free_form else OpenCall
        space, own = self._tools.spaces.get(name, (msgspec.UNSET, name))
        return kind(self._log, len(self._output), self._identity, own, space)

    @property
    def _identity(self) -> str:
        """Returns the numbers of the next item: the response's, and its place in the output."""
        return f"{self._response.id.removeprefix('resp_')}{len(self._output):04x}"

    def _close(self, status: str) -> None:
        if self._open is not None:
            self._output.append(self._open.close_item(status))
            self._open = None

    def _change(self, **fields: Any) -> None:
        self._response = msgspec.structs.replace(self._response, **fields)

    def _say(self, name: str, final: Response | None = None) -> None:
        self._log.append_event(ResponseEvent, f"response.{name}", response=final or self.response)
