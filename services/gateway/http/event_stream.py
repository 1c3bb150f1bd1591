"""An answer as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TypeVar

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from xylem.services.gateway.generation.client_gone import ClientGone
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.http.errors import problem
from xylem.services.gateway.http.response_writer import ChunkUsage, ResponseWriter, Usage
from xylem.services.gateway.http.server_sent_event import DONE, event
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime.errors import XylemError

log = logging.getLogger(__name__)


C = TypeVar("C")


class EventStream(StreamingResponse):
    """The chunks of a session, which is closed however the response ends: it may be cancelled while it sends."""

    def __init__(
        self,
        session: GenerationSession,
        writer: ResponseWriter[C],
        first: list[OutputDelta],
        cursor: StreamCursor | None,
        timeout_s: float,
    ) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(_events(session, writer, first, cursor), headers=headers, media_type="text/event-stream")
        self._session = session
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("%s: the client did not read its stream to the end", self._session.id)
        finally:
            self._session.close()


async def _events(
    session: GenerationSession, writer: ResponseWriter[C], first: list[OutputDelta], cursor: StreamCursor | None
) -> AsyncIterator[bytes]:
    request = session.request
    write = writer.write_event
    end = b"" if writer.named else DONE
    # null everywhere when usage is asked for, except in the chunk that has it; otherwise no such field at all.
    usage: ChunkUsage = None if request.include_usage else msgspec.UNSET
    pieces = first
    try:
        while True:
            if request.continuous_usage:
                usage = Usage.of(session.totals())
            if cursor is None:
                events = [write(chunk) for piece in pieces for chunk in writer.build_chunks(piece, usage)]
            else:
                events = [each for piece in pieces for each in _marked(piece, writer, usage, cursor)]
            if session.done:
                break
            if events:
                yield b"".join(events)
            pieces = await session.take_deltas()
        if request.include_usage or writer.named:
            events += map(write, writer.build_closing(Usage.of(session.totals())))
        yield b"".join(events) + end
    except XylemError as error:
        session.mark_failed(error)
        yield (event(problem(error)) if not writer.named else b"".join(map(write, writer.build_failure(error)))) + end
    except ClientGone:
        return


def _marked(piece: OutputDelta, writer: ResponseWriter[C], usage: ChunkUsage, cursor: StreamCursor) -> Iterator[bytes]:
    """The events of a piece, each with the id of what has been told by then; without what was told before."""
    choice_cursor = cursor.choice_cursors[piece.index]
    textless = not piece.text  # then its prompt's scores can only go with the end
    middle = replace(piece, finish=FinishReason.NONE, matched=None, last_deltas=[], last_scored=[])
    last = replace(piece, text="", num_tokens=0, scored=[], deltas=[])
    last.prompt_scored = piece.prompt_scored if textless else []
    for step in (OutputDelta(piece.index), middle, last):
        chunks = writer.build_chunks(step, usage)
        told = choice_cursor.finished or (choice_cursor.begun and not step.text and not step.finish)
        choice_cursor.begun = True
        choice_cursor.num_chars += len(step.text)
        choice_cursor.finished = choice_cursor.finished or bool(step.finish)
        for chunk in () if told else chunks:
            yield f"id: {cursor}\n".encode() + writer.write_event(chunk)
