"""The queue's two orders, and the policies."""

from collections import Counter

from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.queue_policy import QUEUE_POLICIES
from xylem.services.scheduler.core.request import Request
from xylem.services.scheduler.core.waiting_queue import WaitingQueue
from xylem.shared.protocol import GenerationParams, Tokenized
from xylem.shared.protocol.columns import pack


def request(arrival: int, *, queued_s: float = 0.0, priority: int = 0, tenant: str = "") -> Request:
    message = Tokenized(
        f"r{arrival}", 0, "g", "d", pack([1]), params=GenerationParams(priority=priority, tenant=tenant)
    )
    return Request(message, arrival, queued_s, float("inf"), "", pack([1]), 1)


def test_aged_requests_come_by_arrival_and_young_ones_by_priority() -> None:
    queue = WaitingQueue(SchedulerPolicy(ageing_s=2.0))
    requests = [request(i, queued_s=float(i), priority=-i) for i in range(5)]
    for item in reversed(requests):
        queue.add_request(item)
    assert list(queue) == requests
    assert queue.aged_requests(3.5, Counter) == requests[:2]
    assert queue.young_requests(3.5) == [requests[4], requests[3], requests[2]]


def test_several_tenants_take_turns_before_anybody_has_aged() -> None:
    queue = WaitingQueue(SchedulerPolicy(ageing_s=30.0))
    requests = [request(i, queued_s=float(i), tenant="a") for i in range(2)]
    for item in requests:
        queue.add_request(item)
    assert (queue.aged_requests(9.0, Counter), queue.young_requests(9.0)) == ([], requests)
    other = request(2, queued_s=8.0, tenant="b")
    queue.add_request(other)
    assert (queue.aged_requests(9.0, Counter), queue.young_requests(9.0)) == (requests, [other])


def test_a_request_that_comes_back_has_its_old_place() -> None:
    queue = WaitingQueue(SchedulerPolicy(ageing_s=2.0))
    requests = [request(i) for i in range(3)]
    for item in requests:
        queue.add_request(item)
    queue.remove_request(requests[0])
    assert (len(queue), requests[0].queued) == (2, False)
    queue.add_request(requests[0])
    assert list(queue) == requests


def test_a_step_looks_at_a_bounded_number() -> None:
    queue = WaitingQueue(SchedulerPolicy(ageing_s=2.0, max_examined=7))
    for i in range(20):
        queue.add_request(request(i))
    assert len(queue.young_requests(0.0)) == len(queue.aged_requests(9.0, Counter)) == 7


def test_policies() -> None:
    a, b, c = request(0), request(1), request(2, priority=1)
    cached = {a.id: 0, b.id: 10, c.id: 99}
    assert QUEUE_POLICIES["prefix"]([a, b, c], lambda r: cached[r.id]) == [b, a, c]
    assert QUEUE_POLICIES["fifo"]([a, b, c], lambda r: cached[r.id]) == [a, b, c]


def test_of_several_tenants_the_one_that_runs_least_goes_first() -> None:
    queue = WaitingQueue(SchedulerPolicy(ageing_s=2.0))
    flood = [request(i, tenant="flood") for i in range(1000)]
    others = [request(1000 + i, tenant="other") for i in range(2)]
    for item in [*flood, *others]:
        queue.add_request(item)
    assert queue.aged_requests(9.0, lambda: {"flood": 1})[:4] == [others[0], flood[0], others[1], flood[1]]
    assert queue.aged_requests(9.0, lambda: {"other": 3})[:4] == flood[:4]
    for item in others:
        queue.remove_request(item)
    assert queue.aged_requests(9.0, lambda: {"flood": 1})[:2] == flood[:2]
