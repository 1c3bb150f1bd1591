"""State of one choice of a request: attempt after attempt, until its sequence has ended or can't be had.

    begin ──> hand over ──> accepted ──> started ──> text ──finish──> over
                 │             │            │          │
                 └──── lost ───┴────────────┴──────────┴──> abort the old attempt, pause, hand over again
                                                            with the tokens at hand

An attempt is lost when nobody takes it, a stage refuses it as unavailable, an offset shows a lost message, a peer that
it depends on is gone or has forgotten, its scheduler does not know it any more, nothing moves for stall_timeout_s, or
the bus may have dropped something. Any other refusal is the client's answer. A request gives up after
AttemptPolicy.max_fruitless attempts in a row without a new token, or when executors go on dying while they work at it
(suspicion.py).
"""

import asyncio
import logging
import random
import time
from typing import Protocol

import msgspec

from xylem.services.gateway.generation.output_queue import OutputQueue
from xylem.services.gateway.generation.suspicion import Suspicion
from xylem.services.gateway.generation.text_rows import TextRow
from xylem.services.gateway.policy import AttemptPolicy, SuspicionPolicy
from xylem.shared.protocol import Embedded, FinishReason, Generate, Refused, RequestStatus, Resumed
from xylem.shared.protocol.columns import ITEM_BYTES
from xylem.shared.runtime.errors import DeadlineExceeded, Internal, QueueFull, Unavailable, XylemError, from_code

log = logging.getLogger(__name__)

CLOSED = 1 << 30  # sentinel attempt: ignores all messages
CLOCK_ATTEMPTS = CLOSED >> 1  # in ms six days: a request does not run so long


class Lost(Exception):
    """This attempt won't end by itself; the message says why. level: of its line in the log."""

    def __init__(self, why: str, level: int = logging.WARNING) -> None:
        super().__init__(why)
        self.level = level


class Pipeline(Protocol):
    """Defines what a request state needs of the rest of the system."""

    policy: AttemptPolicy
    suspicion_policy: SuspicionPolicy
    request_timeout_s: float
    stall_timeout_s: float

    @property
    def loss_level(self) -> int:
        """Returns the log level of one request's loss: low in an outage, which is logged once for all."""

    async def ready(self) -> None:
        """Returns when every stage has somebody alive. Raises Unavailable when that takes too long."""

    def pick_detokenizer(self) -> tuple[str, int]:
        """Id and epoch of the one for a new attempt. Raises Unavailable."""

    def epoch_of(self, kind: str, instance: str) -> int | None:
        """Returns the epoch of a peer, or None when it is not known."""

    def has_crashed(self, kind: str, instance: str, epoch: int) -> bool:
        """Whether a peer is known to have crashed in that life."""

    async def hand_over(self, generate: Generate) -> None:
        """Gives the attempt to a tokenizer. Raises Unavailable, PayloadTooLarge."""

    def adopt(self, request_id: str, attempt: int, scheduler: str) -> None:
        """Tells the scheduler that an attempt of another gateway is ours now."""

    def abort_attempt(self, request_id: str, attempt: int, scheduler: str) -> None:
        """Tells the scheduler (empty: all of them) that nobody wants the attempt any more."""

    def remove_state(self, request_state: "RequestState") -> None:
        """Removes a closed state."""


class RequestState:
    """State of one choice. `output_ids` is all that it has, over all attempts."""

    def __init__(self, pipeline: Pipeline, generate: Generate, index: int, output_queue: OutputQueue) -> None:
        self.id = generate.request_id
        self.tenant = generate.params.tenant
        self.index = index
        self.is_counted = True  # against the limits of open requests
        self.attempt = -1
        self._next_attempt = 0  # at least
        self.num_attempts = 0
        self.output_ids = bytearray()
        self.num_prompt_tokens = 0
        self.num_cached_tokens = 0
        self.finish = FinishReason.NONE
        self._pipeline = pipeline
        self._policy = pipeline.policy
        self._generate = generate
        self._output_queue = output_queue
        self.scheduler = ""  # who has this attempt, if that is known
        self._num_unknown = 0  # times in a row that the scheduler did not know it
        self._length = 0  # tokens of this attempt that have their KV, as the scheduler said last
        self._peers: dict[tuple[str, str], int | None] = {}  # who this attempt depends on, and in which epoch
        self._verdict: asyncio.Future[Exception | None] | None = None  # how this attempt ended; None is well
        self._held = False  # somebody may still hold pages or text for this attempt
        self._began = False  # it has been in an executor's plan
        self._news_s = 0.0
        self._suspicion = Suspicion(pipeline.suspicion_policy)
        self._executor: tuple[str, int] | None = None  # that works at this attempt, and its epoch
        self._first_token = 0  # of this attempt

    @property
    def num_tokens(self) -> int:
        return len(self.output_ids) // ITEM_BYTES

    @property
    def quiet_s(self) -> float:
        """Time without news of the attempt in hand; none when there is no such attempt."""
        return _now_s() - self._news_s if self._current(self.attempt) else 0.0

    # What is heard of it. All of these are synchronous, and do nothing for an attempt that is over.

    def on_row(self, row: TextRow) -> None:
        """Tokens and text of one step, or of several that came together."""
        if not self._current(row.attempt):
            return
        if row.offset != self.num_tokens:
            self._end(Lost(f"tokens from {row.offset} came when {self.num_tokens} were there"))
            return
        self._held = not row.finish
        self._began = True
        if row.finish in (FinishReason.ABORT, FinishReason.ERROR):
            self._end(Lost("a stage gave it up") if row.finish is FinishReason.ABORT else Internal("generation failed"))
            return
        if self._generate.params.pooling:
            self._note_news()  # the vector comes from the executor itself, and may come later
            return
        if row.token_ids and self._generate.params.logprobs is not None and row.scored is None:
            self._end(Lost(f"tokens from {row.offset} came without their log probabilities"))
            return
        self._note_news()
        self.on_counts(row.num_prompt_tokens, row.num_cached_tokens)
        self.output_ids += row.token_ids
        self.finish = row.finish
        if row.finish:
            self._end(None)
        if not self._output_queue.put_row(self.index, row):
            self._end(Unavailable("the client reads too slowly"))

    def on_embedded(self, embedded: Embedded) -> None:
        """The vector of the prompt: the whole answer."""
        if not self._current(embedded.attempt):
            return
        self.on_counts(embedded.num_prompt_tokens, embedded.num_cached_tokens)
        self._held = False
        self.finish = FinishReason.STOP
        self._end(None)
        self._output_queue.put_vector(self.index, embedded.vector)

    def on_counts(self, num_prompt_tokens: int, num_cached_tokens: int) -> None:
        """Prompt tokens, and how many of them were cached when it was first run: later attempts find their own."""
        if not self.num_prompt_tokens:
            self.num_prompt_tokens = num_prompt_tokens
            self.num_cached_tokens = min(num_cached_tokens, num_prompt_tokens)

    def on_accepted(self, attempt: int, scheduler: str) -> bool:
        """A scheduler has it in its queue. False: this attempt is not wanted any more."""
        if not self._current(attempt):
            return False
        self._depend_on("scheduler", scheduler, self._pipeline.epoch_of("scheduler", scheduler))
        self.scheduler = scheduler
        self._note_news()
        return True

    def on_started(self, attempt: int, scheduler: str, executor: str, epoch: int) -> bool:
        """It is in an executor's plan. False: this attempt is not wanted any more."""
        if not self.on_accepted(attempt, scheduler):
            return False
        self._depend_on("executor", executor, epoch)
        self._executor = executor, epoch
        self._began = True
        return True

    def on_standing(self, attempt: int, scheduler: str, state: RequestStatus, length: int) -> None:
        """Takes the scheduler's answer to the question where this attempt stands."""
        if not self._current(attempt):
            return
        if state is RequestStatus.UNKNOWN:
            # Once may mean that it has just ended, and the end is on its way here through a detokenizer.
            self._num_unknown += 1
            if self._num_unknown >= self._policy.max_unknown_answers:
                self._end(Lost(f"scheduler {scheduler} does not know it any more"))
        elif state is RequestStatus.WAITING or length != self._length:
            self.on_accepted(attempt, scheduler)
            self._length = length

    def on_refused(self, refused: Refused) -> None:
        """A stage can't or won't."""
        if not self._current(refused.attempt):
            return
        self._held = self._began  # a detokenizer may still wait for more of it
        error = from_code(refused.code, refused.message, refused.param, refused.retry_after_s)
        # Once it has tokens the client has paid for its place: a full queue is then only a bad moment.
        again = isinstance(error, Unavailable) or (isinstance(error, QueueFull) and self.output_ids)
        self._end(Lost(refused.message) if again else error)

    def on_peer(self, kind: str, instance: str, epoch: int | None) -> None:
        """A peer has appeared, or changed its epoch; None: it is gone."""
        if (kind, instance) not in self._peers:
            return
        if self._peers[kind, instance] is None:
            self._peers[kind, instance] = epoch  # it spoke before its first heartbeat was heard
        elif self._peers[kind, instance] != epoch:
            self.on_lost(f"{kind} {instance} {'is gone' if epoch is None else 'has started anew'}")

    def on_lost(self, why: str, level: int = logging.WARNING) -> None:
        """Ends the attempt: what is in flight can't be relied upon."""
        if self._current(self.attempt):
            self._end(Lost(why, level))

    def resume(self, resumed: Resumed, detokenizer: str, epoch: int) -> None:
        """Before `run`: takes over what another gateway had got, and its attempt if that still runs.

        Other connections may have begun attempts that nobody has heard of, and aborted them: schedulers remember the
        numbers. Those of the clock are later than any of theirs.
        """
        self.attempt = resumed.attempt
        self._next_attempt = int(time.time() * 1e3) % CLOCK_ATTEMPTS
        self.on_counts(resumed.num_prompt_tokens, resumed.num_cached_tokens)
        self.output_ids += resumed.token_ids
        self.finish = resumed.finish
        row = TextRow(
            resumed.attempt,
            0,
            resumed.token_ids,
            resumed.text,
            self.finish,
            parts=resumed.parts,
            answer_prefix=resumed.answer_prefix,
        )
        self._output_queue.put_row(self.index, row)
        if resumed.running:
            self._begin_attempt(resumed.attempt, detokenizer, epoch)
            self.on_accepted(resumed.attempt, resumed.scheduler)
            self._pipeline.adopt(self.id, self.attempt, self.scheduler)

    # Its course.

    async def run_attempts(self) -> None:
        """From the first attempt to the end. What can't be had ends as an error in the output queue; raises nothing."""
        try:
            async with asyncio.timeout(self._pipeline.request_timeout_s):
                await self._attempts()
        except TimeoutError:
            self._give_up(DeadlineExceeded(f"not finished within {self._pipeline.request_timeout_s:g} s"))
        except XylemError as error:
            self._give_up(error)
        except Exception:
            log.exception("request %s failed", self.id)
            self._give_up(Internal("internal error of the gateway"))
        finally:
            self._pipeline.remove_state(self)

    def pass_error(self, error: XylemError) -> None:
        """Passes an error to the reader, who closes the state in turn."""
        self._output_queue.put_error(error)

    def release_ownership(self) -> None:
        """Notes that another RequestState adopted this attempt: it is not aborted."""
        self._held = False

    def abandon(self) -> None:
        """Closes the state and aborts its attempt."""
        self._let_go()
        if self._verdict is not None:
            self._end(None)
        self.attempt = CLOSED

    async def _attempts(self) -> None:
        num_fruitless = 0
        # Its task is cancelled when it is abandoned, but wait_for of Python 3.11 swallows a cancellation that comes
        # together with what it waits for: the answer to a hand-over. Without the second condition it would go on alone.
        while not self.finish and self.attempt != CLOSED:
            num_tokens = self.num_tokens
            try:
                if self._verdict is None or self._verdict.done():
                    await self._pipeline.ready()
                    await self._hand_over()
                await self._until_decided()
            except Lost as lost:
                log.log(lost.level, "request %s, attempt %d is lost: %s", self.id, self.attempt, lost)
                self._let_go()
                why = str(lost)
            else:
                continue
            num_fruitless = 1 if self.num_tokens > num_tokens else num_fruitless + 1
            if num_fruitless == self._policy.max_fruitless:
                raise Unavailable(f"given up after {num_fruitless} attempts: {why}", retry_after_s=1.0)
            await asyncio.sleep(self._policy.pauses_s[num_fruitless - 1] * random.uniform(0.75, 1.25))

    def _begin_attempt(self, attempt: int, detokenizer: str, epoch: int) -> None:
        self.attempt = attempt
        self.num_attempts += 1
        self._verdict = asyncio.get_running_loop().create_future()
        self.scheduler = ""
        self._length = 0
        self._peers = {("detokenizer", detokenizer): epoch}
        self._note_news()
        self._held = True
        self._began = False

    async def _hand_over(self) -> None:
        """Begins the next attempt. Raises Lost, or the error that is the answer."""
        self._suspect()
        detokenizer, epoch = self._pipeline.pick_detokenizer()
        self._begin_attempt(max(self.attempt + 1, self._next_attempt), detokenizer, epoch)
        generate = msgspec.structs.replace(
            self._generate,
            attempt=self.attempt,
            detokenizer=detokenizer,
            output_ids=bytes(self.output_ids),
            suspected=self._suspicion.is_suspected,
        )
        try:
            await self._pipeline.hand_over(generate)
        except Unavailable as error:
            self._end(Lost(error.message, self._pipeline.loss_level))

    def _suspect(self) -> None:
        """Looks whether the last attempt's executor has died. Raises Internal when they go on dying at this request."""
        if self._executor is not None:
            instance, epoch = self._executor
            if self._pipeline.epoch_of("executor", instance) != epoch:
                is_crash = self._pipeline.has_crashed("executor", instance, epoch)
                self._suspicion.note_death(is_crash=is_crash, num_new_tokens=self.num_tokens - self._first_token)
        self._executor, self._first_token = None, self.num_tokens
        if self._suspicion.is_given_up:
            raise Internal(f"given up: {self._suspicion.num_deaths} executors in a row died while they worked at it")

    async def _until_decided(self) -> None:
        """Returns when the attempt in hand has brought the end. Raises Lost, or the error that is the answer."""
        stall_s = self._pipeline.stall_timeout_s
        verdict = self._verdict
        assert verdict is not None
        while not verdict.done():
            quiet_s = _now_s() - self._news_s
            if quiet_s >= stall_s:
                self._end(Lost(f"no progress for {stall_s:g} s"))
            else:
                await asyncio.wait([verdict], timeout=stall_s - quiet_s)
        outcome = verdict.result()
        if outcome is not None:
            raise outcome

    def _depend_on(self, kind: str, instance: str, epoch: int | None) -> None:
        """One peer of a kind: a request moves on, and the one before may then die."""
        self._peers = {peer: known for peer, known in self._peers.items() if peer[0] != kind}
        self._peers[kind, instance] = epoch

    def _note_news(self) -> None:
        self._news_s = _now_s()
        self._num_unknown = 0

    def _current(self, attempt: int) -> bool:
        return attempt == self.attempt and self._verdict is not None and not self._verdict.done()

    def _end(self, outcome: Exception | None) -> None:
        assert self._verdict is not None
        if not self._verdict.done():
            self._verdict.set_result(outcome)

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._pipeline.abort_attempt(self.id, self.attempt, self.scheduler)

    def _give_up(self, error: XylemError) -> None:
        self._output_queue.put_error(error)
        self.abandon()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
