"""Chooses the number of torch threads. More are not always faster: a step of a small model is over before a second
thread has woken up, and beside any other busy process threads that wait for each other cost up to forty times the
step."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

MAX_ROUNDS = 7
MAX_MEASURE_S = 1.0  # for each number of threads
MAX_TIME_RATIO = 0.7  # doubling threads must cut a step to 70 % or less: each core is taken from other services
LONG_STEP_TOKENS = 64  # such a step takes all cores: the other services have nothing to do before it is over


@dataclass(frozen=True, slots=True)
class ThreadCounts:
    """Numbers of torch threads for short and for long steps."""

    short: int
    long: int

    def set_for(self, num_tokens: int) -> None:
        """Sets torch's threads for a step of num_tokens. In the step thread, before the step."""
        number = self.long if num_tokens >= LONG_STEP_TOKENS else self.short
        if number != torch.get_num_threads():
            torch.set_num_threads(number)


def choose_threads(step: Callable[[], object], *, claim_work: bool) -> ThreadCounts:
    """Doubles the threads from 1 on, as long as `step`, a short one, gets faster by it.

    claim_work: see Ops; if set, long steps get as many threads as torch was told to use, else as many as short ones.
    Must be called in the step thread, whose setting it is.
    """
    most = torch.get_num_threads()
    best, best_s = 1, _duration_s(step, 1)
    number = 2
    while number <= most:
        took_s = _duration_s(step, number)
        if took_s > MAX_TIME_RATIO * best_s:
            break
        best, best_s = number, took_s
        number = min(2 * number, most) if number < most else most + 1
    torch.set_num_threads(best)
    chosen = ThreadCounts(best, most if claim_work else best)
    log.info("%d of %d torch threads, %d in long steps; %.1f ms a step", best, most, chosen.long, 1e3 * best_s)
    return chosen


def _duration_s(step: Callable[[], object], num_threads: int) -> float:
    """Returns the shortest of some rounds: other processes can only lengthen one."""
    torch.set_num_threads(num_threads)
    began_s = time.perf_counter()
    shortest_s = float("inf")
    for _ in range(MAX_ROUNDS):
        round_s = time.perf_counter()
        step()
        now_s = time.perf_counter()
        shortest_s = min(shortest_s, now_s - round_s)
        if now_s - began_s > MAX_MEASURE_S:
            break
    return shortest_s
