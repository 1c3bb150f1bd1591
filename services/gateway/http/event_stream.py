"""The answer to a request as server-sent events, as its tokens come."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TypeVar

import msgspec

from xylem.services.gateway.generation.client_gone import ClientGone
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.http.errors import problem
from xylem.services.gateway.http.pinged_stream import PingedStream
from xylem.services.gateway.http.response_writer import ChunkUsage, ResponseWriter, Usage
from xylem.services.gateway.http.server_sent_event import DONE, event
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime.errors import XylemError

FirstDeltas = asyncio.Future[list[OutputDelta]]

C = TypeVar("C")


class EventStream(PingedStream):
    """The chunks of a session. first: its first deltas, which may be still to come."""

    def __init__(
        self,
        session: GenerationSession,
        writer: ResponseWriter[C],
        first: FirstDeltas,
        cursor: StreamCursor | None,
        context: Context,
    ) -> None:
        events = _events(session, writer, first, cursor)
        super().__init__(events, timeout_s=context.response_timeout_s, ping_s=context.settings.ping_s)
        self._session = session
        self._first = first

    def end_stream(self) -> None:
        self._first.cancel()
        self._session.close()


async def _events(
    session: GenerationSession, writer: ResponseWriter[C], first: FirstDeltas, cursor: StreamCursor | None
) -> AsyncIterator[bytes]:
    request = session.request
    write = writer.write_event
    end = b"" if writer.named else DONE
    # null everywhere when usage is asked for, except in the chunk that has it; otherwise no such field at all.
    usage: ChunkUsage = None if request.include_usage else msgspec.UNSET
    try:
        pieces = await first
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
