"""What a decision of the scheduler costs, as its tree and the number of running sequences grow.

    python -m benchmarks.bench_scheduler
    python -m benchmarks.bench_scheduler --cached 16,1024 --running 1000 --profile
    python -m benchmarks.bench_scheduler --json scheduler.json

The core alone, with a simulated executor whose steps take no time and whose own work is not counted. The tree is full:
whatever comes in evicts something. Each turn is one step of the executor, a token for every running sequence, and as
many new requests as have ended, each in a step of the core of its own: a prompt of 256 tokens of which half stand in
the tree, and 64 tokens of output in the mean. Times are CPU times of `core.step`.

`growth` at the end is how many times as much a request costs with the largest tree, or with the most sequences, as it
does with the smallest; 1.0 is flat. `slope` is the same for each doubling.
"""

import argparse
import cProfile
import itertools
import json
import math
import os
import pstats
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.simulated_executor import SimulatedExecutor, StepCost
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Capacity, GenerationParams, SamplingParams, StopConditions, Tokenized
from xylem.shared.protocol.columns import pack

PAGE_SIZE = 16
PREFIXES = 256
PREFIX_TOKENS = OWN_TOKENS = 128
OUTPUT_TOKENS = range(16, 113)
OUTPUT_TOKENS_MEAN = 64
MAX_TOKENS = 128
PARAMS = GenerationParams(
    sampling=SamplingParams(temperature=0.0), stop_conditions=StopConditions(max_tokens=MAX_TOKENS)
)
# Tokens that are drawn while it is measured.
MEASURED_TOKENS = 300_000


@dataclass(frozen=True, slots=True)
class Result:
    cached_tokens: int
    running: int
    admission_us: float  # of a request that is submitted and admitted
    token_us: float  # of a row of a report, what ends and what is granted included
    request_us: float  # of a request of the mean length: its admission and its tokens
    admissions_per_s: float
    tokens_per_s: float


class Bench:
    """A core with one executor, its tree filled with `cached_tokens`, and `running` sequences."""

    def __init__(self, cached_tokens: int, running: int) -> None:
        self.random = random.Random(1)
        self.core = SchedulerCore("s", SchedulerPolicy(max_waiting=1 << 20, max_plan_bytes=1 << 40), plan_epoch=1)
        self.core_s = 0.0
        self._cached_tokens = cached_tokens
        self._running = running
        self._ids = itertools.count()
        self._outputs: dict[str, bytes] = {}
        # The pages of a sequence that nobody else uses are its own, and its outputs may grow to MAX_TOKENS.
        num_tokens = cached_tokens + running * (OWN_TOKENS + MAX_TOKENS + PAGE_SIZE) + PREFIXES * PREFIX_TOKENS
        capacity = Capacity(num_tokens // PAGE_SIZE, PAGE_SIZE, 2 * running + PREFIXES, 1 << 20)
        self.executor = SimulatedExecutor("x", capacity, StepCost(), self._outputs.__getitem__)
        self._prefixes = [self._text(PREFIX_TOKENS) for _ in range(PREFIXES)]
        self._feed(e.ExecutorJoined("x", self.executor.epoch, capacity))

    def fill(self) -> None:
        """Fills the memory with prefixes that nobody uses, and then begins as many sequences as are to run."""
        allocator = self.core.executors["x"].page_allocator
        while allocator.num_free > self._running * (OWN_TOKENS + MAX_TOKENS) // PAGE_SIZE:
            for _ in range(PREFIXES):
                self._submit(1)
            while self.executor.running or self.executor.plans:
                self._turn()
        for _ in range(self._running):
            self._submit(self.random.randrange(2, OUTPUT_TOKENS.stop))
        for _ in range(4):
            self._turn()
            self._replace()

    def measure(self) -> Result:
        """Some turns, each followed by as many new requests as have ended in it."""
        num_turns = max(4, MEASURED_TOKENS // self._running)
        self.core_s = admission_s = 0.0
        num_admitted = num_tokens = 0
        for _ in range(num_turns):
            num_tokens += len(self.executor.running)
            self._turn()
            before_s = self.core_s
            num_admitted += self._replace()
            admission_s += self.core_s - before_s
        admission_us = 1e6 * admission_s / num_admitted
        token_us = 1e6 * (self.core_s - admission_s) / num_tokens
        return Result(
            cached_tokens=self.core.executors["x"].radix_tree.num_pages * PAGE_SIZE,
            running=self._running,
            admission_us=admission_us,
            token_us=token_us,
            request_us=admission_us + OUTPUT_TOKENS_MEAN * token_us,
            admissions_per_s=num_admitted / admission_s,
            tokens_per_s=num_tokens / self.core_s,
        )

    def _text(self, length: int) -> bytes:
        return pack(self.random.choices(range(32_000), k=length))

    def _feed(self, event: e.Event) -> None:
        started_s = time.process_time()
        actions = self.core.step([event], 0.0)
        self.core_s += time.process_time() - started_s
        self.executor.plans += [action.plan for action in actions if isinstance(action, e.SendPlan)]

    def _turn(self) -> None:
        done = self.executor.step()
        if done is not None:
            step, report, _ = done
            for request_id in step.ended:
                del self._outputs[request_id]
            self._feed(e.Report(report))

    def _replace(self) -> int:
        """Submits as many requests as have ended, and says how many."""
        missing = self._running - len(self.core.request_table.requests)
        for _ in range(missing):
            self._submit(self.random.choice(OUTPUT_TOKENS))
        return missing

    def _submit(self, num_output: int) -> None:
        name = str(next(self._ids))
        self._outputs[name] = self._text(num_output)
        request = Tokenized(
            request_id=name,
            attempt=0,
            gateway="g",
            detokenizer="d",
            prompt_ids=self.random.choice(self._prefixes) + self._text(OWN_TOKENS),
            params=PARAMS,
        )
        self._feed(e.Submit(request))


def measure(cached_tokens: int, running: int, *, profile: bool) -> Result:
    bench = Bench(cached_tokens, running)
    bench.fill()
    if not profile:
        return bench.measure()
    profiler = cProfile.Profile()
    result = profiler.runcall(bench.measure)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(20)
    return result


def growth(name: str, few: Result, many: Result, times: float) -> str:
    ratio = many.request_us / few.request_us
    return (
        f"{name} times {times:.0f}: growth {ratio:.2f}, slope {ratio ** (1 / math.log2(times)) - 1:+.1%} per doubling"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cached", default="16,128,1024", help="in 1024 tokens")
    parser.add_argument("--running", default="100,1000,10000")
    parser.add_argument("--profile", action="store_true", help="also prints where the time goes")
    parser.add_argument("--json", type=Path, help="also writes the figures here")
    arguments = parser.parse_args()
    sizes = [1024 * int(size) for size in arguments.cached.split(",")]
    counts = [int(count) for count in arguments.running.split(",")]
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'cached':>9} {'running':>8} {'us/admission':>13} {'us/token':>9} {'us/request':>11} {'tokens/s':>10}")
    results: dict[tuple[int, int], Result] = {}
    for size, count in itertools.product(sizes, counts):
        r = results[size, count] = measure(size, count, profile=arguments.profile)
        print(
            f"{r.cached_tokens:>9} {r.running:>8} {r.admission_us:>13.1f} {r.token_us:>9.2f} {r.request_us:>11.1f}"
            f" {r.tokens_per_s:>10.0f}",
            flush=True,
        )
    for count in counts:
        if len(sizes) > 1:
            few, many = results[sizes[0], count], results[sizes[-1], count]
            print(growth(f"{count} running, tree", few, many, sizes[-1] / sizes[0]))
    for size in sizes:
        if len(counts) > 1:
            few, many = results[size, counts[0]], results[size, counts[-1]]
            print(growth(f"{size} cached, sequences", few, many, counts[-1] / counts[0]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results.values()], indent=1) + "\n")


if __name__ == "__main__":
    main()
