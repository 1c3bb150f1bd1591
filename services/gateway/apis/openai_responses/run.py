"""A response while it is made, by a task of its own: connections come and go, and read what it says from its log."""

import asyncio
import logging
from collections.abc import Callable

from starlette.types import Message, Receive

from xylem.services.gateway.apis.openai_responses.event_log import EventLog
from xylem.services.gateway.apis.openai_responses.event_writer import EventWriter
from xylem.services.gateway.apis.openai_responses.request import ResponseRequest
from xylem.services.gateway.apis.openai_responses.schema import Response
from xylem.services.gateway.apis.openai_responses.translation import NAMES
from xylem.services.gateway.generation.client_gone import ClientGone
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.generation.resumption import Found
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import ChoiceCursor, StreamCursor
from xylem.shared.runtime.errors import Internal, XylemError

log = logging.getLogger(__name__)


async def nobody() -> Message:
    """In the place of a client's `receive`: one who never leaves."""
    message: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await message


class ResponseRun:
    """One response in the making. `start` or `go_on` must be called once; its task closes everything.

    on_change: called when its generation is another one, and when it has ended.
    """

    def __init__(
        self, context: Context, response_request: ResponseRequest, on_change: Callable[[], None], traceparent: str = ""
    ) -> None:
        record = response_request.accepted
        self.log = EventLog(records=record.tells_events)
        self.error: Exception | None = None  # that ended it: a XylemError, or ClientGone
        self.is_dropped = False  # another gateway goes on with it
        self._context = context
        self._chat_request = response_request.chat_request
        self._on_change = on_change
        self._traceparent = traceparent
        self._event_writer = EventWriter(self.log, response_request.response, record.final)
        self._cursor = StreamCursor(
            record.id,
            record.created_at,
            response_request.chat_request.base_seed,
            [ChoiceCursor()],
            record.generation,
            record.tenant,
        )
        self._session: GenerationSession | None = None
        self._is_unwanted = False
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def response(self) -> Response:
        """Returns the response as far as it has got."""
        return self._event_writer.response

    @property
    def generation(self) -> int:
        return self._cursor.generation

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def start_response(self, receive: Receive) -> None:
        """Begins; it ends early when that client leaves. Raises XylemError with nothing begun."""
        session = self._open(receive, [])
        if self.response.background:  # its first event is for a client who waits for no token
            self._event_writer.create_response()
        self._context.spawn(self._run(session), name=f"response {self.response.id}")

    def go_on(self) -> None:
        """Tells again what another gateway has told, from what detokenizers have of it or else from its record."""
        self._context.spawn(self._run(None), name=f"response {self.response.id}")

    async def begun(self) -> None:
        """Returns when there are first tokens, or it has ended without any: then `error` says why."""
        await self._begun.wait()

    async def ended(self) -> None:
        """Returns when nothing more will come."""
        await self._ended.wait()

    def cancel(self) -> None:
        """Nobody wants more of it. What it has said so far stays."""
        self._is_unwanted = True
        if self._session is not None:
            self._session.disconnect_client()

    def drop(self) -> None:
        """Another gateway goes on with it: it ends here, and nothing is said of that."""
        self.is_dropped = True
        self.cancel()

    def _open(self, receive: Receive, found: list[Found]) -> GenerationSession:
        self._session = session = GenerationSession(self._context, self._chat_request, self._cursor, self._traceparent)
        try:
            session.start_choices(receive, found)
        except BaseException:
            session.close()
            raise
        if self._is_unwanted:
            session.disconnect_client()
        return session

    async def _find(self) -> GenerationSession:
        """Returns the point at which detokenizers have left it."""
        if self.response.background:
            self._event_writer.create_response()
        generation = self._cursor.generation
        found = await self._context.request_states.find_stream(self._cursor, from_start=True)
        if generation != self._cursor.generation:
            self._on_change()
        return self._open(nobody, found)

    async def _run(self, opened: GenerationSession | None) -> None:
        event_writer = self._event_writer
        try:
            session = opened or await self._find()
            pieces = await session.take_deltas()
            if not self.response.background:
                event_writer.create_response()
            event_writer.begin_output()
            self._begun.set()
            while True:
                for piece in pieces:
                    event_writer.add_output(piece)
                if session.done:
                    break
                pieces = await session.take_deltas()
            event_writer.end_response(session.totals())
        except ClientGone as gone:
            self.error = gone
            if not self.is_dropped:
                event_writer.cancel_response()
        except XylemError as error:
            self._fail(NAMES.translated(error))
        except Exception:
            log.exception("response %s failed", self.response.id)
            self._fail(Internal("internal error; the gateway's log says more"))
        finally:
            if self._session is not None:
                self._session.close()
            self.log.close()
            self._begun.set()
            self._ended.set()
            self._on_change()

    def _fail(self, error: XylemError) -> None:
        self.error = error
        if self._session is not None:
            self._session.mark_failed(error)
        self._event_writer.fail_response(error)
