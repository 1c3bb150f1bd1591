"""The requests of a scheduler from submission to end: attempts, refusals, deadlines, aborts."""

import heapq
import math

import msgspec

from xylem.services.scheduler.core import events as e
from xylem.services.scheduler.core.admission import admit_bytes, max_new_tokens
from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.orphaned_requests import OrphanedRequests
from xylem.services.scheduler.core.policy import SchedulerPolicy
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


class RequestTable:
    """All requests by id. Each is new (in this step), waiting in the queue, running, or retracting."""

    def __init__(
        self,
        scheduler: str,
        executors: dict[str, ExecutorState],
        queue: WaitingQueue,
        policy: SchedulerPolicy,
    ) -> None:
        self.queue = queue
        self.requests: dict[str, Request] = {}
        self.actions: list[e.Action] = []
        self.draining = False
        self._scheduler = scheduler
        self._executors = executors
        self._policy = policy
        self._orphans = OrphanedRequests(policy.gateway_grace_s)
        self._num_arrived = 0
        self._new: list[Request] = []
        self._deadlines: list[tuple[float, int, Request]] = []
        # Aborts that came before their request: a client may leave while a tokenizer still works.
        self._aborts = RecentAborts()
        self._ended_s = -math.inf
        self._interval_s = 0.1  # average time between two ends of requests

    def submit_request(self, event: e.Submit, now: float) -> None:
        """Adds a new request, or a later attempt that replaces the earlier one. Ignores an attempt that is known."""
        message = event.request
        known = self.requests.get(message.request_id)
        if known is not None and known.message.attempt == message.attempt and known.sequence is None:
            return  # it is waiting already
        if self._is_late(message, known):
            self.actions.append(e.RequestForgotten(message.request_id, message.attempt))
            return
        if known is not None:
            self._drop(known, now)
        try:
            tokens, num_prompt = _tokens(message)
        except InvalidRequest as error:
            self._send_refusal(message, error)
            return
        request = Request(message, self._num_arrived, now, event.deadline_s, event.trace, tokens, num_prompt)
        request.owned_from = request.arrival
        self._num_arrived += 1
        self.requests[message.request_id] = request
        self._new.append(request)

    def abort_request(self, event: e.AbortRequest, now: float) -> None:
        """Drops a request without a message to its gateway. A later attempt is left alone."""
        known = self.requests.get(event.request_id)
        if known is None or known.message.attempt < event.attempt:
            self._aborts.note(event.request_id, event.attempt)
        if known is not None and known.message.attempt <= event.attempt:
            self._drop(known, now)

    def end_sequence(self, sequence: Sequence, now: float) -> None:
        """Removes the request of a sequence that its executor has ended."""
        del self.requests[sequence.request.id]
        sequence.request.sequence = None
        if self._ended_s > -math.inf:
            self._interval_s += 0.1 * (min(now - self._ended_s, self._policy.max_retry_s) - self._interval_s)
        self._ended_s = now

    def requeue_retracted(self, sequence: Sequence) -> None:
        """Queues the request of a retracted sequence again, with the tokens it has decoded so far."""
        request = sequence.request
        request.continue_from(bytes(sequence.tokens))
        request.sequence = None
        self._new.append(request)

    def lose_sequence(self, sequence: Sequence, reason: str) -> None:
        """Refuses the request of a sequence lost with its executor. Its gateway may send the next attempt."""
        sequence.request.sequence = None
        self.refuse_request(sequence.request, Unavailable(reason))

    def refuse_request(self, request: Request, error: XylemError) -> None:
        """Ends a request that does not run, with an error to its gateway."""
        if request.queued:
            self.queue.remove_request(request)
        del self.requests[request.id]
        self._send_refusal(request.message, error)

    def refuse_waiting(self, error: XylemError) -> None:
        """Ends every request that does not run, with an error to its gateway."""
        for request in [request for request in self.requests.values() if request.sequence is None]:
            self.refuse_request(request, error)

    def orphan_requests(self, gateway: str, now: float) -> None:
        """Starts the grace period of the requests of a gateway that is gone."""
        self._orphans.add_gateway(gateway, self._num_arrived, now)

    def adopt_request(self, event: e.AdoptRequest) -> None:
        """Makes another gateway the owner of a request."""
        request = self.requests.get(event.request_id)
        if request is not None and request.message.attempt == event.attempt:
            request.message = msgspec.structs.replace(request.message, gateway=event.gateway)
            request.owned_from = self._num_arrived

    def update_queue(self, now: float) -> None:
        """Queues or refuses the new requests, drops orphans, and refuses waiting requests past their deadline."""
        self._queue_new()
        for request in self._orphans.take_due(self.requests.values(), now):
            self._drop(request, now)
            self.actions.append(e.AbortOrphan(request.id, request.message.attempt))
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, request = heapq.heappop(self._deadlines)
            if request.queued:
                self.refuse_request(request, DeadlineExceeded("the deadline passed while the request was waiting"))

    def _queue_new(self) -> None:
        for request in self._new:
            if self.requests.get(request.id) is not request:
                continue  # aborted or replaced in the same step
            is_retracted = request.num_cached >= 0
            error = (
                self._refusal_of_unservable(request)
                if is_retracted
                else self._refusal_of_unservable(request) or self._refusal_of_new()
            )
            if error is not None:
                self.refuse_request(request, error)
                continue
            self.queue.add_request(request)
            if request.deadline_s < math.inf:
                heapq.heappush(self._deadlines, (request.deadline_s, request.arrival, request))
            if not is_retracted:
                message = request.message
                accepted = Accepted(request.id, message.attempt, self._scheduler, request.num_prompt)
                self.actions.append(e.Accept(message.gateway, accepted))
        self._new.clear()

    def refuse_unservable(self) -> None:
        """Refuses the waiting requests that no executor can run, after a change of executors."""
        for request in list(self.queue):
            error = self._refusal_of_unservable(request)
            if error is not None:
                self.refuse_request(request, error)

    def next_due_s(self) -> float:
        """Returns the next deadline of a waiting request or of an orphan, or infinity."""
        while self._deadlines and not self._deadlines[0][2].queued:
            heapq.heappop(self._deadlines)
        return min(self._deadlines[0][0] if self._deadlines else math.inf, self._orphans.next_due_s())

    def _is_late(self, message: Tokenized, known: Request | None) -> bool:
        """Whether the attempt is running, followed by a later one, or aborted before it came."""
        attempt = -1 if known is None else known.message.attempt
        return message.attempt <= max(attempt, self._aborts.latest(message.request_id))

    def _drop(self, request: Request, now: float) -> None:
        if request.sequence is not None:
            self._executors[request.sequence.executor].drop_sequence(request.sequence, now)
            request.sequence = None
        else:
            self.actions.append(e.RequestForgotten(request.id, request.message.attempt))
        if request.queued:
            self.queue.remove_request(request)
        del self.requests[request.id]

    def _refusal_of_new(self) -> XylemError | None:
        """The error of every new request while draining or with a full queue, or None."""
        if self.draining:
            return Unavailable(f"scheduler {self._scheduler} is shutting down")
        if len(self.queue) >= self._policy.max_waiting:
            retry_s = min(self._policy.max_retry_s, max(1.0, self._interval_s * len(self.queue) / 2))
            return QueueFull(f"{len(self.queue)} requests are waiting already", retry_after_s=retry_s)
        return None

    def _refusal_of_unservable(self, request: Request) -> XylemError | None:
        """The error of a request that no executor can ever run, or None."""
        accepting = [each for each in self._executors.values() if each.accepting]
        if not accepting:
            return Unavailable("no executor is there to run the request")
        largest = max(accepting, key=lambda each: each.page_allocator.num_pages * each.page_size)
        if max_new_tokens(request, largest) < 1:
            what = "the prompt has" if not request.num_outputs else "prompt and output so far have"
            room = largest.page_allocator.num_pages * largest.page_size
            return ContextTooLong(f"{what} {request.num_tokens} tokens, but the KV memory holds {room} tokens")
        size = admit_bytes(request, largest.page_size)
        if size > self._policy.max_plan_bytes:
            return PayloadTooLarge(
                f"the request takes {size} bytes in a plan that carries {self._policy.max_plan_bytes}"
            )
        return None

    def _send_refusal(self, message: Tokenized, error: XylemError) -> None:
        self.actions.append(e.Refuse(message.gateway, refusal(error, message.request_id, message.attempt)))


def _tokens(message: Tokenized) -> tuple[bytes, int]:
    """Prompt and output ids as one column, and the number of prompt tokens. Raises InvalidRequest."""
    prompt, outputs, limit = message.prompt_ids, message.output_ids, message.params.stop_conditions.max_tokens
    if not prompt or len(prompt) % ITEM_BYTES or len(outputs) % ITEM_BYTES:
        raise InvalidRequest("the prompt has no tokens" if not prompt else "token ids are not whole", param="prompt")
    if limit == 0:
        raise InvalidRequest("at least one token must be allowed", param="max_tokens")
    if limit > 0:
        # All tokens were decoded, but the message that it has ended was lost. A position is always sampled alike: the
        # last token is decoded again, and ends the request as it did before.
        outputs = outputs[: (limit - 1) * ITEM_BYTES]
    return prompt + outputs, len(prompt) // ITEM_BYTES
