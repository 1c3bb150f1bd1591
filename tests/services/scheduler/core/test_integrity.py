"""A planted fault of every kind is found."""

from collections.abc import Callable

import pytest

from tests.services.scheduler.simulation import Client, World
from xylem.services.scheduler.core import IntegrityError, SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core.executor_state import ExecutorState


def world() -> World:
    made = World(SchedulerCore("s", SchedulerPolicy(grant_ahead_tokens=4), plan_epoch=7))
    made.add_executor(num_pages=16, page_size=2, max_running=1)
    for name in "ab":
        made.submit(Client(name, [5, 6, 7, 8, 9, ord(name)], "", 8))
    made.turn()
    return made


def leak(executor_state: ExecutorState) -> None:
    executor_state.page_allocator.allocate(1)


def share_a_page(executor_state: ExecutorState) -> None:
    (sequence,) = executor_state.running.values()
    sequence.duplicates.append(executor_state.page_allocator.free_pages()[0])


def forget_a_lock(executor_state: ExecutorState) -> None:
    (sequence,) = executor_state.running.values()
    sequence.node.locks -= 1


def miscount(executor_state: ExecutorState) -> None:
    executor_state.radix_tree.num_evictable += 1


def miscount_unread(executor_state: ExecutorState) -> None:
    executor_state.num_pending_prefill_tokens += 1


def change_tokens(executor_state: ExecutorState) -> None:
    (sequence,) = executor_state.running.values()
    sequence.node.tokens[0] ^= 1


def forget_a_sequence(executor_state: ExecutorState) -> None:
    executor_state.running.clear()


FAULTS = [leak, share_a_page, forget_a_lock, miscount, miscount_unread, change_tokens, forget_a_sequence]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault: Callable[[ExecutorState], None]) -> None:
    core = world().core
    counts = check_integrity(core)["e"]
    assert counts["free"] + counts["cached"] + counts["held"] == counts["total"] == 16
    assert counts["running"] == 1
    fault(core.executors["e"])
    with pytest.raises(IntegrityError):
        check_integrity(core)


def test_a_request_in_two_states_is_found() -> None:
    core = world().core
    running = next(request for request in core.request_table.requests.values() if request.sequence is not None)
    core.queue.add_request(running)
    with pytest.raises(IntegrityError):
        check_integrity(core)
