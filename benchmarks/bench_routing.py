"""What is left of the prefix cache when its memory is divided among several executors.

    python -m benchmarks.bench_routing

The conversations of `traces.py` are replayed with executors that have a part of the memory each: all behind one
scheduler, which chooses, or each behind a scheduler of its own, among which the router chooses by a policy. `of it` is
the share of prompt tokens served to the clairvoyant bound of one cache with all the memory; the goal is 90%.
"""

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bench_prefix import capacity
from benchmarks.optimum import most_served
from benchmarks.replay import Outcome, Replay
from benchmarks.traces import Trace, multi_turn
from xylem.services.router.policy import RouterPolicy
from xylem.services.router.routing_policy import ROUTING_POLICIES
from xylem.services.scheduler.core import SchedulerCore

ONE_SCHEDULER = "scheduler"


@dataclass(frozen=True, slots=True)
class Result:
    """One line: medians over the seeds. chooses: the scheduler, or the policy of a router."""

    memory_tokens: int
    executors: int
    chooses: str
    share: float
    of_clairvoyant: float
    first_token_s: float


def replayed(trace: Trace, num_tokens: int, executors: int, chooses: str) -> Outcome:
    each = capacity(num_tokens // executors)
    if chooses == ONE_SCHEDULER:
        return Replay(trace, {"s": SchedulerCore("s", plan_epoch=1)}, each, executors=executors).run()
    cores = {f"s{number}": SchedulerCore(f"s{number}", plan_epoch=1) for number in range(executors)}
    return Replay(trace, cores, each, choose=ROUTING_POLICIES[chooses](RouterPolicy()).select_schedulers).run()


def measure(num_tokens: int, executors: int, chooses: str, seeds: list[int]) -> Result:
    shares, ratios, waits_s = [], [], []
    for seed in seeds:
        trace = multi_turn(seed)
        outcome = replayed(trace, num_tokens, executors, chooses)
        most = most_served(trace, outcome.moments, num_tokens) / outcome.num_prompt
        shares.append(outcome.share)
        ratios.append(outcome.share / most)
        waits_s.append(outcome.median_first_token_s)
    figures = map(statistics.median, (shares, ratios, waits_s))
    return Result(num_tokens, executors, chooses, *figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", default="32,64,128", help="of all executors, in 1024 tokens")
    parser.add_argument("--executors", default="2,4")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--json", type=Path, help="also writes the figures here")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    results = []
    print(f"{'memory':>7} {'executors':>10} {'chooses':>10} {'share':>7} {'of it':>7} {'first token':>12}")
    for memory in map(int, arguments.memory.split(",")):
        for executors in map(int, arguments.executors.split(",")):
            for chooses in (ONE_SCHEDULER, *ROUTING_POLICIES):
                r = measure(1024 * memory, executors, chooses, seeds)
                results.append(r)
                print(
                    f"{memory:>6}k {executors:>10} {chooses:>10} {r.share:>7.1%} {r.of_clairvoyant:>7.1%}"
                    f" {r.first_token_s * 1e3:>9.0f} ms",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
