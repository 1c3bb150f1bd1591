"""The requests of a scheduler from submission to end: attempts, refusals, deadlines, aborts. Not where they run."""

import heapq
import math

import msgspec

from xylem.services.scheduler.core import events as e
from xylem.services.scheduler.core.admission import admit_bytes, max_new_tokens
from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.orphaned_requests import OrphanedRequests
from xylem.services.scheduler.core.request import Request, Sequence
from xylem.services.scheduler.core.waiting_queue import WaitingQueue
from xylem.shared.protocol import Accepted, Tokenized
from xylem.shared.protocol.columns import ITEM_BYTES
from xylem.shared.runtime.errors import (
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    PayloadTooLarge,
    QueueFull,
    Unavailable,
    XylemError,
    refusal,
)
from xylem.shared.runtime.recent_aborts import RecentAborts

MAX_RETRY_S = 30.0


class RequestTable:
    """Every request is in one of four states: new (in this step), waiting in the queue, running, or leaving."""

    def __init__(
        self,
        scheduler: str,
        executors: dict[str, ExecutorState],
        queue: WaitingQueue,
        *,
        max_waiting: int,
        max_plan_bytes: int,
        gateway_grace_s: float,
    ) -> None:
        self.queue = queue
        self.requests: dict[str, Request] = {}
        self.actions: list[e.Action] = []
        self.draining = False
        self._scheduler = scheduler
        self._executors = executors
        self._max_waiting = max_waiting
        self._max_plan_bytes = max_plan_bytes
        self._orphans = OrphanedRequests(gateway_grace_s)
        self._num_arrived = 0
        self._new: list[Request] = []
        self._deadlines: list[tuple[float, int, Request]] = []
        self._aborts = (
            RecentAborts()
        )  # that came before their request did: a client may leave while a tokenizer still works
        self._ended_s = -math.inf
        self._interval_s = 0.1  # average time between two ends of requests

    def submit(self, event: e.Submit, now: float) -> None:
        """A new request, or a later attempt of one: that replaces the earlier one. Others are here already."""
        message = event.request
        known = self.requests.get(message.request_id)
        if known is not None and known.message.attempt == message.attempt and known.sequence is None:
            return  # it is waiting already
        if self._is_late(message, known):
            self.actions.append(e.Forgotten(message.request_id, message.attempt))
            return
        if known is not None:
            self._forget(known, now)
        try:
            tokens, num_prompt = _tokens(message)
        except InvalidRequest as error:
            self._say(message, error)
            return
        request = Request(message, self._num_arrived, now, event.deadline_s, event.trace, tokens, num_prompt)
        request.owned_from = request.arrival
        self._num_arrived += 1
        self.requests[message.request_id] = request
        self._new.append(request)

    def abort(self, event: e.AbortRequest, now: float) -> None:
        """Forgets a request, and nobody is told: who aborts knows. A later attempt is left alone."""
        known = self.requests.get(event.request_id)
        if known is None or known.message.attempt < event.attempt:
            self._aborts.note(event.request_id, event.attempt)
        if known is not None and known.message.attempt <= event.attempt:
            self._forget(known, now)

    def end(self, sequence: Sequence, now: float) -> None:
        """The executor has ended a sequence, and with it the request."""
        del self.requests[sequence.request.id]
        sequence.request.sequence = None
        if self._ended_s > -math.inf:
            self._interval_s += 0.1 * (min(now - self._ended_s, MAX_RETRY_S) - self._interval_s)
        self._ended_s = now

    def come_back(self, sequence: Sequence) -> None:
        """A retracted sequence has left its executor: the request waits again, with what it has drawn so far."""
        request = sequence.request
        request.tokens = bytes(sequence.tokens)
        request.sequence = None
        self._new.append(request)

    def lose(self, sequence: Sequence, reason: str) -> None:
        """The sequence went down with its executor's books. Its gateway may send the next attempt."""
        sequence.request.sequence = None
        self.refuse(sequence.request, Unavailable(reason))

    def refuse(self, request: Request, error: XylemError) -> None:
        """Ends a request that does not run."""
        if request.queued:
            self.queue.remove(request)
        del self.requests[request.id]
        self._say(request.message, error)

    def refuse_all(self, error: XylemError) -> None:
        """Ends every request that does not run."""
        for request in [request for request in self.requests.values() if request.sequence is None]:
            self.refuse(request, error)

    def gateway_left(self, gateway: str, now: float) -> None:
        """Nobody reads what its requests produce."""
        self._orphans.gateway_left(gateway, self._num_arrived, now)

    def adopt(self, event: e.AdoptRequest) -> None:
        """Another gateway reads on."""
        request = self.requests.get(event.request_id)
        if request is not None and request.message.attempt == event.attempt:
            request.message = msgspec.structs.replace(request.message, gateway=event.gateway)
            request.owned_from = self._num_arrived

    def sort(self, now: float) -> None:
        """Queues what is new and can be served; refuses the rest."""
        for request in self._new:
            if self.requests.get(request.id) is not request:
                continue  # aborted or replaced in the same step
            came_back = request.num_cached >= 0
            error = self._unservable(request) if came_back else self._unservable(request) or self._unwelcome()
            if error is not None:
                self.refuse(request, error)
                continue
            self.queue.add(request)
            if request.deadline_s < math.inf:
                heapq.heappush(self._deadlines, (request.deadline_s, request.arrival, request))
            if not came_back:
                message = request.message
                accepted = Accepted(request.id, message.attempt, self._scheduler, request.num_prompt)
                self.actions.append(e.Accept(message.gateway, accepted))
        self._new.clear()
        for request in self._orphans.due(self.requests.values(), now):
            self._forget(request, now)
            self.actions.append(e.Orphaned(request.id, request.message.attempt))
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, request = heapq.heappop(self._deadlines)
            if request.queued:
                self.refuse(request, DeadlineExceeded("the deadline passed while the request was waiting"))

    def sort_again(self) -> None:
        """After a change of executors: refuses the waiting requests that nobody can serve now."""
        for request in list(self.queue):
            error = self._unservable(request)
            if error is not None:
                self.refuse(request, error)

    def next_due_s(self) -> float:
        """The next deadline of a waiting request or of an orphan, or infinity."""
        while self._deadlines and not self._deadlines[0][2].queued:
            heapq.heappop(self._deadlines)
        return min(self._deadlines[0][0] if self._deadlines else math.inf, self._orphans.next_due_s())

    def _is_late(self, message: Tokenized, known: Request | None) -> bool:
        """Whether the attempt is running, followed by a later one, or aborted before it came."""
        attempt = -1 if known is None else known.message.attempt
        return message.attempt <= max(attempt, self._aborts.latest(message.request_id))

    def _forget(self, request: Request, now: float) -> None:
        if request.sequence is not None:
            self._executors[request.sequence.executor].drop(request.sequence, now)
            request.sequence = None
        else:
            self.actions.append(e.Forgotten(request.id, request.message.attempt))
        if request.queued:
            self.queue.remove(request)
        del self.requests[request.id]

    def _unwelcome(self) -> XylemError | None:
        """Why no new request is taken at all."""
        if self.draining:
            return Unavailable(f"scheduler {self._scheduler} is shutting down")
        if len(self.queue) >= self._max_waiting:
            retry_s = min(MAX_RETRY_S, max(1.0, self._interval_s * len(self.queue) / 2))
            return QueueFull(f"{len(self.queue)} requests are waiting already", retry_after_s=retry_s)
        return None

    def _unservable(self, request: Request) -> XylemError | None:
        """Why no executor can ever run the request."""
        accepting = [books for books in self._executors.values() if books.accepting]
        if not accepting:
            return Unavailable("no executor is there to run the request")
        largest = max(accepting, key=lambda books: books.pages.num_pages * books.page_size)
        if max_new_tokens(request, largest) < 1:
            what = "the prompt has" if not request.num_outputs else "prompt and output so far have"
            room = largest.pages.num_pages * largest.page_size
            return ContextTooLong(f"{what} {request.num_tokens} tokens, but the KV memory holds {room} tokens")
        size = admit_bytes(request, largest.page_size)
        if size > self._max_plan_bytes:
            return PayloadTooLarge(f"the request takes {size} bytes in a plan that carries {self._max_plan_bytes}")
        return None

    def _say(self, message: Tokenized, error: XylemError) -> None:
        self.actions.append(e.Refuse(message.gateway, refusal(error, message.request_id, message.attempt)))


def _tokens(message: Tokenized) -> tuple[bytes, int]:
    """Prompt and output ids as one column, and the number of prompt tokens. Raises InvalidRequest."""
    prompt, outputs, limit = message.prompt_ids, message.output_ids, message.limits.max_tokens
    if not prompt or len(prompt) % ITEM_BYTES or len(outputs) % ITEM_BYTES:
        raise InvalidRequest("the prompt has no tokens" if not prompt else "token ids are not whole", param="prompt")
    if limit == 0:
        raise InvalidRequest("at least one token must be allowed", param="max_tokens")
    if limit > 0:
        # All tokens are drawn, but the word that it has ended was lost. The draw of a position is always the same:
        # the last one is drawn again, and ends the request as it did before.
        outputs = outputs[: (limit - 1) * ITEM_BYTES]
    return prompt + outputs, len(prompt) // ITEM_BYTES
