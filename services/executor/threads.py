"""How many torch threads make a step faster. More is not always: a step of a small model is over before a second thread
has woken up, and beside any other busy process threads that wait for each other cost up to forty times the step."""

import logging
import time
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

ROUNDS = 7
PATIENCE_S = 1.0  # for each number of threads
WORTH = 0.7  # what twice the threads may leave of the time: a core given to a step is taken from the other services


def settle(step: Callable[[], object]) -> int:
    """Doubles the threads from 1 on, as long as `step` gets faster by it; leaves torch at the best number.

    To be called in the thread that will make the steps, whose setting it is.
    """
    most = torch.get_num_threads()
    best, best_s = 1, _duration_s(step, 1)
    number = 2
    while number <= most:
        took_s = _duration_s(step, number)
        if took_s > WORTH * best_s:
            break
        best, best_s = number, took_s
        number = min(2 * number, most) if number < most else most + 1
    torch.set_num_threads(best)
    log.info("%d of %d torch threads, %.1f ms a step", best, most, 1e3 * best_s)
    return best


def _duration_s(step: Callable[[], object], num_threads: int) -> float:
    """The shortest of some rounds: what else runs can only lengthen one."""
    torch.set_num_threads(num_threads)
    began_s = time.perf_counter()
    shortest_s = float("inf")
    for _ in range(ROUNDS):
        round_s = time.perf_counter()
        step()
        now_s = time.perf_counter()
        shortest_s = min(shortest_s, now_s - round_s)
        if now_s - began_s > PATIENCE_S:
            break
    return shortest_s
