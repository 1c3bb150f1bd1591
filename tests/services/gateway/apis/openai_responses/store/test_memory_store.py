"""What stays in a gateway's memory of the responses that it has made."""

from typing import Any

from xylem.services.gateway.apis.openai_responses.event_log import EventLog
from xylem.services.gateway.apis.openai_responses.store.memory_store import MemoryStore, StoredInMemory
from xylem.services.gateway.apis.openai_responses.store.record import Record, encode


class FakeRun:
    """As far as memory looks at it."""

    def __init__(self) -> None:
        self.log = EventLog(records=False)
        self.has_ended = False


def kept(identity: str, text: str = "") -> StoredInMemory:
    run: Any = FakeRun()
    return StoredInMemory(Record(id=identity, created_at=0, owner="gw", body={"input": text}, items=[]), run)


def end(memory: MemoryStore, response: StoredInMemory) -> None:
    run: Any = response.run
    run.has_ended = True
    memory.settle_response(response)


def test_the_longest_unused_that_has_ended_goes_first() -> None:
    memory = MemoryStore(2, 1 << 20)
    first, second, third = kept("1"), kept("2"), kept("3")
    for each in (first, second):
        memory.add_response(each)
        end(memory, each)
    assert memory.find_response("1") is first  # which uses it
    memory.add_response(third)
    assert [memory.find_response(identity) for identity in "123"] == [first, None, third]


def test_what_runs_stays_whatever_it_takes() -> None:
    memory = MemoryStore(0, 0)
    running = kept("1")
    memory.add_response(running)
    assert list(memory.running()) == [running]
    end(memory, running)
    assert (memory.find_response("1"), memory.num_bytes) == (None, 0)


def test_sizes_count_once_they_have_ended() -> None:
    small, large = kept("1"), kept("2", "x" * 1000)
    memory = MemoryStore(9, len(encode(small.record)))
    for each in (small, large):
        memory.add_response(each)
        end(memory, each)
    assert [memory.find_response(identity) for identity in "12"] == [None, None]
    assert memory.num_bytes == 0
