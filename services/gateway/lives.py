"""All lives of a gateway: what the bus says of them finds its way here, and what they want goes out from here."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from services.gateway.bookmark import Bookmark
from services.gateway.life import Life
from services.gateway.mailbox import Mailbox
from shared import subjects
from shared.bus import Bus
from shared.columns import ITEM_BYTES, pack, unpack
from shared.errors import Unavailable, XylemError
from shared.messages import (
    Abort,
    Accepted,
    Adopt,
    Finish,
    Generate,
    Inquire,
    Message,
    Presence,
    Refused,
    Resume,
    Resumed,
    Standing,
    Started,
    State,
    TextDeltas,
)
from shared.presence import Directory
from shared.settings import GatewaySettings

STAGES = ("tokenizer", "router", "scheduler", "executor", "detokenizer")
HAND_OVER_S = 2.0
# An attempt without news for so long is asked for, so that a lost refusal or a lost end is noticed.
QUIET_S = 1.0
INQUIRY_INTERVAL_S = 0.5
# Before a scheduler has accepted it a request may be under way for so long: tokenizing a book takes its time.
UNDER_WAY_S = 20.0
MAX_STRAYS = 4096
MAX_INQUIRY = 1024  # attempts in one question

Spawn = Callable[..., "asyncio.Task[None]"]


@dataclass(frozen=True, slots=True)
class Found:
    """What is left of a request of another gateway, and whose detokenizer has it."""

    detokenizer: str
    epoch: int
    resumed: Resumed


class Lives:
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
        self._lives: dict[str, Life] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._early: dict[
            str, list[tuple[int, int, bytes, str, Finish]]
        ] = {}  # what came for a request that is being resumed
        self._strays: dict[str, None] = {}  # requests that are not ours any more and have been aborted, oldest first
        self._turn = 0
        self._repair_s = settings.repair_s
        self._hole_s = -math.inf  # since when a stage is missing; infinity: none is
        self._change = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    async def open(self) -> None:
        """Begins to listen."""
        self._directory.on_change(self._on_presence)
        self._bus.on_epoch(self._on_bus_epoch)
        await self._bus.listen(subjects.gateway(self._id), TextDeltas | Accepted | Started | Refused, self._on_message)
        self._spawn(self._inquire(), name="inquiries")

    def __len__(self) -> int:
        return len(self._lives)

    def begin(self, generate: Generate, index: int, mailbox: Mailbox, found: Found | None = None) -> Life:
        """A new life, running; with `found` it goes on where another gateway's ended."""
        life = Life(self, generate, index, mailbox)
        self._lives[life.id] = life
        if found is not None:
            life.resume(found.resumed, found.detokenizer, found.epoch)
            for row in self._early.pop(life.id, ()):
                life.on_text(*row)
        self._tasks[life.id] = self._spawn(life.run(), name=f"life {life.id}")
        self._empty.clear()
        return life

    async def find(self, bookmark: Bookmark) -> list[Found]:
        """What detokenizers have of a stream that broke off. Nothing unless all choices are found.

        Then the bookmark names a new generation: the stream has to be generated anew.
        """
        wanted = {f"{bookmark.request_id}-{i}": place.num_chars for i, place in enumerate(bookmark.places)}
        for request_id in wanted:
            old = self._lives.get(request_id)
            if old is not None:  # its client has left, which we have not heard yet
                old.hand_on()
                self.forget(old)
            self._early[request_id] = []
        found = await asyncio.gather(*(self._find(*each) for each in wanted.items()))
        whole = [each for each in found if each is not None]
        if len(whole) == len(wanted):
            return whole
        for request_id in wanted:
            self._early.pop(request_id, None)
        bookmark.begin_anew()
        return []

    async def _find(self, request_id: str, num_chars: int) -> Found | None:
        peers = self._directory.known("detokenizer")
        question = Resume(request_id=request_id, gateway=self._id, num_chars=num_chars)

        async def ask(detokenizer: str) -> Resumed:
            subject = subjects.resume(self._model, detokenizer)
            try:
                return await self._bus.request(subject, question, Resumed, timeout_s=HAND_OVER_S)
            except XylemError:
                return Resumed()

        answers = zip(peers, await asyncio.gather(*(ask(peer.id) for peer in peers)), strict=True)
        found = [Found(peer.id, peer.epoch, resumed) for peer, resumed in answers if resumed.found]
        return max(found, key=lambda each: each.resumed.attempt, default=None)

    def forget(self, life: Life) -> None:
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

    def missing(self) -> list[str]:
        """What is not there to serve a request."""
        missing = [kind for kind in STAGES if not self._directory.live(kind)]
        return missing if self._bus.connected else ["NATS", *missing]

    def unservable(self) -> list[str]:
        """What has been missing for so long, or from the beginning, that a request need not wait for it."""
        missing = self.missing()
        self._note_hole()
        return missing if _now_s() - self._hole_s > self._repair_s else []

    async def idle(self) -> None:
        """Returns when no life is left."""
        await self._empty.wait()

    # What lives want: life.Pipeline.

    async def ready(self) -> None:
        if not self.missing():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._repair_s):
                while self.missing():
                    self._change.clear()
                    await self._change.wait()
        if missing := self.missing():
            raise Unavailable(f"no live {', '.join(missing)}", retry_after_s=1.0)

    def pick_detokenizer(self) -> tuple[str, int]:
        live = self._directory.live("detokenizer")
        if not live:
            raise Unavailable("no live detokenizer", retry_after_s=1.0)
        self._turn += 1
        peer = live[self._turn % len(live)]
        return peer.id, peer.epoch

    def epoch_of(self, kind: str, instance: str) -> int | None:
        peer = self._directory.find(kind, instance)
        return peer.epoch if peer is not None else None

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

    def leave(self, life: Life) -> None:
        if self._lives.get(life.id) is life:
            del self._lives[life.id], self._tasks[life.id]
            self._remember(life.id)
        if not self._lives:
            self._empty.set()

    # What is heard.

    async def _on_message(self, message: TextDeltas | Accepted | Started | Refused) -> None:
        if isinstance(message, TextDeltas):
            self._on_text(message)
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
        attempts, offsets, counts, finishes, prompts, cached = map(
            unpack,
            (
                deltas.attempts,
                deltas.offsets,
                deltas.counts,
                deltas.finishes,
                deltas.num_prompt_tokens,
                deltas.num_cached_tokens,
            ),
        )
        start = 0
        for i, request_id in enumerate(deltas.request_ids):
            end = start + counts[i] * ITEM_BYTES
            life = self._lives.get(request_id)
            if life is not None:
                life.on_counts(prompts[i], cached[i])
                life.on_text(attempts[i], offsets[i], deltas.token_ids[start:end], deltas.texts[i], Finish(finishes[i]))
            elif request_id in self._early:
                self._early[request_id].append(
                    (attempts[i], offsets[i], deltas.token_ids[start:end], deltas.texts[i], Finish(finishes[i]))
                )
            elif not finishes[i] and request_id not in self._strays:
                # Left over from an earlier life of this gateway, or from a client long gone.
                self._remember(request_id)
                self.abort(request_id, attempts[i], "")
            start = end

    def _on_presence(self, presence: Presence, alive: bool) -> None:
        for life in list(self._lives.values()):
            life.on_peer(presence.kind, presence.id, presence.epoch if alive else None)
        self._note_hole()
        self._change.set()

    def lose_all(self, why: str) -> None:
        """What is in flight can't be relied upon."""
        for life in list(self._lives.values()):
            life.on_lost(why)
        self._change.set()

    def _on_bus_epoch(self) -> None:
        self.lose_all("messages may have been lost on the bus")

    def _note_hole(self) -> None:
        if not self.missing():
            self._hole_s = math.inf
        elif self._hole_s == math.inf:
            self._hole_s = _now_s()

    async def _inquire(self) -> None:
        """Asks schedulers for the attempts of which nothing was heard for a while."""
        while True:
            await asyncio.sleep(INQUIRY_INTERVAL_S)
            quiet: dict[str, list[Life]] = {}
            for life in self._lives.values():
                if life.scheduler and life.quiet_s > QUIET_S:
                    quiet.setdefault(life.scheduler, []).append(life)
                elif life.quiet_s > UNDER_WAY_S and not life.scheduler:
                    life.on_lost("no scheduler has accepted it")
            await asyncio.gather(*(self._ask(scheduler, lives) for scheduler, lives in quiet.items()))

    async def _ask(self, scheduler: str, lives: list[Life]) -> None:
        for start in range(0, len(lives), MAX_INQUIRY):
            part = [(life, life.attempt) for life in lives[start : start + MAX_INQUIRY]]
            question = Inquire(
                request_ids=tuple(life.id for life, _ in part), attempts=pack(attempt for _, attempt in part)
            )
            try:
                standing = await self._bus.request(
                    subjects.inquire(self._model, scheduler), question, Standing, timeout_s=HAND_OVER_S
                )
            except XylemError:
                return  # it is its heartbeats that tell whether it is there
            answers = zip(part, unpack(standing.states), unpack(standing.lengths), strict=True)
            for (life, attempt), state, length in answers:
                life.on_standing(attempt, scheduler, State(state), length)

    def _remember(self, request_id: str) -> None:
        self._strays[request_id] = None
        if len(self._strays) > MAX_STRAYS:
            del self._strays[next(iter(self._strays))]

    async def _publish(self, subject: str, message: Message) -> None:
        with suppress(Unavailable):  # an outage: whoever held the request forgets it by itself
            await self._bus.publish(subject, message)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
