"""Who is next among the grammars that wait: clients take turns, and short ones go first."""

import threading

from xylem.services.executor.structured_output.compile_queue import CompileJob, CompileQueue


def job(client: str, text: str, *, is_slow: bool = False) -> CompileJob:
    return CompileJob(("regex", text), client, is_slow)


def order(queue: CompileQueue, number: int, *, seconds: float, slow: bool = False) -> list[str]:
    """The texts in the order in which one thread takes them, each of which takes so long."""
    taken = []
    for _ in range(number):
        next_job = queue.take(slow=slow)
        assert next_job is not None
        taken.append(next_job.key[1])
        queue.finish(next_job, seconds)
    return taken


def test_short_grammars_go_first() -> None:
    queue = CompileQueue()
    for text in ("ccc", "a", "bb"):
        queue.put(job("x", text))
    assert order(queue, 3, seconds=0) == ["a", "bb", "ccc"]


def test_clients_take_turns() -> None:
    queue = CompileQueue()
    for n in range(4):
        queue.put(job("greedy", f"g{n}"))
    queue.put(job("modest", "a longer text"))
    assert order(queue, 5, seconds=1)[1] == "a longer text"


def test_quick_threads_take_no_slow_job_and_others_take_them_first() -> None:
    queue = CompileQueue()
    queue.put(job("x", "slow", is_slow=True))
    queue.put(job("y", "quick"))
    assert order(queue, 1, seconds=0) == ["quick"]
    queue.put(job("y", "quick"))
    assert order(queue, 2, seconds=0, slow=True) == ["slow", "quick"]


def test_debts_are_forgotten_when_nothing_waits() -> None:
    queue = CompileQueue()
    queue.put(job("greedy", "g"))
    order(queue, 1, seconds=100)
    queue.put(job("modest", "a longer text"))
    queue.put(job("greedy", "g"))
    assert order(queue, 2, seconds=0) == ["g", "a longer text"]


def test_closing_ends_who_waits() -> None:
    queue = CompileQueue()
    ended = threading.Event()

    def take() -> None:
        queue.take(slow=True)
        ended.set()

    thread = threading.Thread(target=take)
    thread.start()
    queue.close()
    assert ended.wait(10)
    thread.join()
