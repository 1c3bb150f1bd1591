"""How many torch threads make a step faster. More is not always: a step of a small model is over before a second thread
has woken up, and beside any other busy process threads that wait for each other cost up to forty times the step."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

ROUNDS = 7
PATIENCE_S = 1.0  # for each number of threads
WORTH = 0.7  # what twice the threads may leave of the time: a core given to a step is taken from the other services
LONG_STEP = 64  # tokens: it takes all cores, for the other services have nothing to do before it is over


@dataclass(frozen=True, slots=True)
class Threads:
    """Of short and of long steps."""

    short: int
    long: int

    def take(self, num_tokens: int) -> None:
        """Before a step with so many tokens, in the thread that makes it."""
        number = self.long if num_tokens >= LONG_STEP else self.short
        if number != torch.get_num_threads():
            torch.set_num_threads(number)


def settle(step: Callable[[], object], *, claim_work: bool) -> Threads:
    """Doubles the threads from 1 on, as long as `step`, a short one, gets faster by it.

    claim_work: see Ops; long steps get as many threads as torch was told to use then, else as many as short
    ones. To be called in the thread that will make the steps, whose setting it is.
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
    chosen = Threads(best, most if claim_work else best)
    log.info("%d of %d torch threads, %d in long steps; %.1f ms a step", best, most, chosen.long, 1e3 * best_s)
    return chosen


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
