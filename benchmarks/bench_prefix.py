"""What the prefix cache is worth: the share of prompt tokens that it serves, against the most that it could.

    python -m benchmarks.bench_prefix
    python -m benchmarks.bench_prefix --seeds 1,2,3 --json prefix.json

Traces of 32 clients (`traces.py`) are replayed in simulated time (`replay.py`) against the scheduler's own core and an
executor whose steps take as long as a 0.5B model's on two cores. `clairvoyant` and `unlimited` are the bounds of
`optimum.py`; the goal is 96% of the clairvoyant one. `gain` compares with a replay of the same trace with the cache
switched off: how many times as many tokens per second, and as short a median time to the first token.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.optimum import most_served
from benchmarks.replay import Outcome, Replay
from benchmarks.traces import TRACES, Trace
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy
from xylem.shared.protocol import Capacity

PAGE_SIZE = 16
MAX_RUNNING = 64
TOKEN_BUDGET = 512
MEMORIES = {  # in 1024 tokens, from tight to ample
    "shared-prefix": (4, 8, 16, 32, 64),
    "multi-turn": (8, 16, 32, 40, 64),
    "tree-of-thought": (4, 8, 16, 32),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One line: medians over the seeds."""

    trace: str
    memory_tokens: int
    share: float
    clairvoyant: float
    unlimited: float
    of_clairvoyant: float
    of_unlimited: float
    first_token_s: float
    first_token_gain: float
    tokens_per_s: float
    tokens_gain: float
    num_retracted: float


def capacity(num_tokens: int) -> Capacity:
    return Capacity(num_tokens // PAGE_SIZE, PAGE_SIZE, MAX_RUNNING, TOKEN_BUDGET)


def replayed(trace: Trace, num_tokens: int, *, prefix_cache: bool = True) -> Outcome:
    """One executor behind one scheduler."""
    return Replay(
        trace, {"s": SchedulerCore("s", SchedulerPolicy(prefix_cache=prefix_cache), plan_epoch=1)}, capacity(num_tokens)
    ).run()


def measure(name: str, seed: int, num_tokens: int) -> Result:
    trace = TRACES[name](seed)
    outcome, without = replayed(trace, num_tokens), replayed(trace, num_tokens, prefix_cache=False)
    clairvoyant = most_served(trace, outcome.moments, num_tokens) / outcome.num_prompt
    unlimited = most_served(trace, outcome.moments, math.inf) / outcome.num_prompt
    return Result(
        trace=name,
        memory_tokens=num_tokens,
        share=outcome.share,
        clairvoyant=clairvoyant,
        unlimited=unlimited,
        of_clairvoyant=outcome.share / clairvoyant,
        of_unlimited=outcome.share / unlimited,
        first_token_s=outcome.median_first_token_s,
        first_token_gain=without.median_first_token_s / outcome.median_first_token_s,
        tokens_per_s=outcome.tokens_per_s,
        tokens_gain=outcome.tokens_per_s / without.tokens_per_s,
        num_retracted=outcome.num_retracted,
    )


def medians(results: list[Result]) -> Result:
    figures = {
        each.name: statistics.median(getattr(result, each.name) for result in results)
        for each in fields(Result)
        if each.name != "trace"
    }
    return Result(trace=results[0].trace, **figures)


def table(results: Iterable[Result]) -> None:
    print(
        f"{'trace':>16} {'memory':>7} {'share':>7} {'clairvoyant':>12} {'of it':>7} {'unlimited':>10} {'of it':>7}"
        f" {'first token':>12} {'gain':>6} {'tokens/s':>9} {'gain':>5} {'retracted':>10}"
    )
    for r in results:
        shares = f"{r.share:>7.1%} {r.clairvoyant:>12.1%} {r.of_clairvoyant:>7.1%}"
        first = f"{r.first_token_s * 1e3:>9.0f} ms {r.first_token_gain:>6.1f}"
        print(
            f"{r.trace:>16} {r.memory_tokens // 1024:>6}k {shares} {r.unlimited:>10.1%} {r.of_unlimited:>7.1%}"
            f" {first} {r.tokens_per_s:>9.0f} {r.tokens_gain:>5.2f} {r.num_retracted:>10.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", default=",".join(TRACES))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--json", type=Path, help="also writes the figures here")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    results = [
        medians([measure(name, seed, 1024 * memory) for seed in seeds])
        for name in arguments.traces.split(",")
        for memory in MEMORIES[name]
    ]
    table(results)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
