"""All lives of a gateway: what the bus says of them finds its way here, and what they want goes out from here."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from xylem.services.gateway.generation.output_queue import OutputQueue
from xylem.services.gateway.generation.pipeline_health import PipelineHealth
from xylem.services.gateway.generation.request_state import RequestState
from xylem.services.gateway.generation.resumption import Found, find
from xylem.services.gateway.generation.stall_probe import StallProbe
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.generation.text_rows import TextRow, rows_of
from xylem.shared.protocol import (
    Abort,
    Accepted,
    Adopt,
    Embedded,
    Generate,
    Message,
    Presence,
    Refused,
    Started,
    TextDeltas,
    subjects,
)
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import Unavailable, XylemError
from xylem.shared.runtime.presence import Directory
from xylem.shared.runtime.settings import GatewaySettings

HAND_OVER_S = 2.0
MAX_STRAYS = 4096
HEARD = TextDeltas | Accepted | Started | Refused | Embedded

Spawn = Callable[..., "asyncio.Task[None]"]


class RequestStateTable:
    """The table of running lives by request id. Implements `life.Pipeline`."""

    def __init__(self, settings: GatewaySettings, bus: Bus, directory: Directory, spawn: Spawn) -> None:
        self.request_timeout_s = settings.request_timeout_s
        self.stall_timeout_s = settings.stall_timeout_s
        self.num_resubmitted = 0
        self._id = settings.instance
        self._model = settings.model_slug
        self._bus = bus
        self._directory = directory
        self._spawn = spawn
        self.stages = PipelineHealth(bus, directory, settings.repair_s)
        self._lives: dict[str, RequestState] = {}
        self._open_of: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._early: dict[str, list[TextRow]] = {}  # what came for requests that are being resumed
        self._strays: dict[str, None] = {}  # requests that are not ours any more and have been aborted, oldest first
        self._empty = asyncio.Event()
        self._empty.set()

    async def open(self) -> None:
        """Begins to listen."""
        self._directory.on_change(self._on_presence)
        self._bus.on_epoch(self._on_bus_epoch)
        await self._bus.listen(subjects.gateway(self._id), HEARD, self._on_message)
        inquiries = StallProbe(self._bus, self._model, self._lives.values)
        self._spawn(inquiries.run(), name="inquiries")

    def __len__(self) -> int:
        return len(self._lives)

    def num_open_of(self, tenant: str) -> int:
        """Running lives of one tenant."""
        return self._open_of[tenant]

    def begin(self, generate: Generate, index: int, mailbox: OutputQueue, found: Found | None = None) -> RequestState:
        """A new life, running; with `found` it goes on where another gateway's ended."""
        life = RequestState(self, generate, index, mailbox)
        self._lives[life.id] = life
        self._open_of[life.tenant] += 1
        if found is not None:
            life.resume(found.resumed, found.detokenizer, found.epoch)
            for row in self._early.pop(life.id, ()):
                life.on_row(row)
        self._tasks[life.id] = self._spawn(life.run(), name=f"life {life.id}")
        self._empty.clear()
        return life

    async def find(self, bookmark: StreamCursor, *, from_start: bool) -> list[Found]:
        """What detokenizers have of a stream that broke off, from where it broke off or all of its text.

        Nothing unless all choices are found. Then the bookmark names a new generation: it has to be generated anew.
        """
        wanted = {
            f"{bookmark.request_id}-{i}": 0 if from_start else place.num_chars
            for i, place in enumerate(bookmark.places)
        }
        for request_id in wanted:
            old = self._lives.get(request_id)
            if old is not None:  # its client has left, which we have not heard yet
                old.hand_on()
                self.forget(old)
            self._early[request_id] = []
        peers = self.stages.known("detokenizer")
        found = await asyncio.gather(*(find(self._bus, self._model, self._id, peers, *each) for each in wanted.items()))
        whole = [each for each in found if each is not None]
        if len(whole) == len(wanted):
            return whole
        for request_id in wanted:
            self._early.pop(request_id, None)
        bookmark.begin_anew()
        return []

    def forget(self, life: RequestState) -> None:
        """Ends a life, whatever its state, and frees what it holds."""
        if self._lives.get(life.id) is life:
            task = self._tasks[life.id]
            life.abandon()
            self.leave(life)
            task.cancel()

    def fail_all(self, error: XylemError) -> None:
        """Ends all lives with an error for their clients."""
        for life in list(self._lives.values()):
            life.fail(error)
            self.forget(life)

    async def idle(self) -> None:
        """Returns when no life is left."""
        await self._empty.wait()

    # What lives want: life.Pipeline.

    async def ready(self) -> None:
        await self.stages.ready()

    def pick_detokenizer(self) -> tuple[str, int]:
        return self.stages.pick_detokenizer()

    def epoch_of(self, kind: str, instance: str) -> int | None:
        return self.stages.epoch_of(kind, instance)

    async def hand_over(self, generate: Generate) -> None:
        if generate.attempt:
            self.num_resubmitted += 1
        await self._bus.hand_over(subjects.tokenize(self._model), generate, timeout_s=HAND_OVER_S)

    def adopt(self, request_id: str, attempt: int, scheduler: str) -> None:
        adopt = Adopt(request_id=request_id, attempt=attempt, gateway=self._id)
        self._spawn(self._publish(subjects.adopt(self._model, scheduler), adopt), name=f"adopt {request_id}")

    def abort(self, request_id: str, attempt: int, scheduler: str) -> None:
        subject = subjects.abort(self._model, scheduler) if scheduler else subjects.abort_any(self._model)
        self._spawn(self._publish(subject, Abort(request_id=request_id, attempt=attempt)), name=f"abort {request_id}")

    def leave(self, life: RequestState) -> None:
        if self._lives.get(life.id) is life:
            del self._lives[life.id], self._tasks[life.id]
            self._open_of -= Counter([life.tenant])
            self._remember(life.id)
        if not self._lives:
            self._empty.set()

    # What is heard.

    async def _on_message(self, message: TextDeltas | Accepted | Started | Refused | Embedded) -> None:
        if isinstance(message, TextDeltas):
            self._on_text(message)
        elif isinstance(message, Embedded):
            embedded = self._lives.get(message.request_id)
            if embedded is not None:
                embedded.on_embedded(message)
        elif isinstance(message, Refused):
            life = self._lives.get(message.request_id)
            if life is not None:
                life.on_refused(message)
        elif not self._on_taken(message):
            # The client left while the request was between two stages, where no abort could find it.
            self.abort(message.request_id, message.attempt, message.scheduler)

    def _on_taken(self, message: Accepted | Started) -> bool:
        """A scheduler, or an executor too, has an attempt. False when nobody wants it any more."""
        life = self._lives.get(message.request_id)
        if life is None:
            return False
        if isinstance(message, Started):
            return life.on_started(message.attempt, message.scheduler, message.executor, message.executor_epoch)
        return life.on_accepted(message.attempt, message.scheduler)

    def _on_text(self, deltas: TextDeltas) -> None:
        for request_id, row in rows_of(deltas):
            life = self._lives.get(request_id)
            if life is not None:
                life.on_row(row)
            elif request_id in self._early:
                self._early[request_id].append(row)
            elif not row.finish and request_id not in self._strays:
                # Left over from an earlier life of this gateway, or from a client long gone.
                self._remember(request_id)
                self.abort(request_id, row.attempt, "")

    def _on_presence(self, presence: Presence, alive: bool) -> None:
        for life in list(self._lives.values()):
            life.on_peer(presence.kind, presence.id, presence.epoch if alive else None)
        self.stages.changed()

    def lose_all(self, why: str) -> None:
        """What is in flight can't be relied upon."""
        for life in list(self._lives.values()):
            life.on_lost(why)
        self.stages.changed()

    def _on_bus_epoch(self) -> None:
        self.lose_all("messages may have been lost on the bus")

    def _remember(self, request_id: str) -> None:
        self._strays[request_id] = None
        if len(self._strays) > MAX_STRAYS:
            del self._strays[next(iter(self._strays))]

    async def _publish(self, subject: str, message: Message) -> None:
        with suppress(Unavailable):  # an outage: whoever held the request forgets it by itself
            await self._bus.publish(subject, message)
