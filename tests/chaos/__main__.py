"""Chaos for as long as you like: `python -m tests.chaos --minutes 30`, or `--soak` for load without faults.

With `--poison` the faults are requests that end the executor which works at them.

Starts `xylem serve` with two of every service, keeps streams running, and prints a table: for each fault how often it
struck, how many streams ran then, and after how many seconds each had its next event. Ends with 1 when a stream was not
its undisturbed answer, a request was lost, books did not balance, or (soak) memory grew.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.chaos.books import balanced
from tests.chaos.campaign import Campaign
from tests.chaos.crowd import Crowd, client, undisturbed
from tests.chaos.faults import HANG, KILL, TERMINATE, Fault
from tests.chaos.memory import grown, resident_mib, table
from tests.chaos.poison import POISONS, PYTHONPATH
from tests.chaos.rudeness import Rudeness
from tests.serving import Served, serving

KINDS = ("tokenizer", "router", "detokenizer", "scheduler", "executor", "gateway")
FAULTS = (KILL, KILL, TERMINATE, HANG)
SAMPLE_EVERY_S = 5.0


def gateways(served: Served, count: int) -> list[str]:
    host, port = served.url.rsplit(":", 1)
    return [f"{host}:{int(port) + i}" for i in range(count)]


def draw(rng: Random, replicas: int) -> tuple[Fault, str]:
    """Any fault of any process. A gateway that hangs only makes its clients wait, so it is killed or restarted."""
    if rng.random() < 0.08:
        return KILL, "nats-0"
    kind = rng.choice(KINDS)
    fault = rng.choice(FAULTS[:-1] if kind == "gateway" else FAULTS)
    return fault, f"{kind}-{rng.randrange(replicas)}"


async def chaos(served: Served, options: argparse.Namespace) -> list[str]:
    urls = gateways(served, options.replicas)
    expected = await undisturbed(urls)
    rng = Random(options.seed)
    failures: list[str] = []
    end_s = time.monotonic() + 60 * options.minutes
    async with Crowd(urls, expected, options.streams) as crowd:
        campaign = Campaign(served, crowd)
        while time.monotonic() < end_s:
            await campaign.strike(*draw(rng, options.replicas))
            for failure in crowd.failures[len(failures) :]:
                print("FAILED", failure, flush=True)
            failures = list(crowd.failures)
        await crowd.leave()
        failures = list(crowd.failures)
        ended, came_back = crowd.num_ended, crowd.num_reconnected
    print(campaign.table())
    print(f"{ended} streams ended, {came_back} reconnections, {len(failures)} failures")
    return failures


async def poison(served: Served, options: argparse.Namespace) -> list[str]:
    urls = gateways(served, options.replicas)
    expected = await undisturbed(urls)
    rng = Random(options.seed)
    failures: list[str] = []
    end_s = time.monotonic() + 60 * options.minutes
    async with Crowd(urls, expected, options.streams) as crowd, client() as http:
        campaign = Campaign(served, crowd)
        while time.monotonic() < end_s:
            failures += await campaign.poison(rng.choice(POISONS), rng.choice(urls), http)
        await crowd.leave()
        print(f"{crowd.num_ended} streams ended, {len(crowd.failures)} of them not as they should")
        failures += crowd.failures
    print(campaign.table())
    for name, answers_s in sorted(campaign.answers_s.items()):
        print(f"{name}: answered after {statistics.median(answers_s):.1f} s (median), {max(answers_s):.1f} s at most")
    return failures


async def soak(served: Served, options: argparse.Namespace) -> list[str]:
    urls = gateways(served, options.replicas)
    expected = await undisturbed(urls)
    samples: dict[str, list[float]] = {}
    end_s = time.monotonic() + 60 * options.minutes
    async with Crowd(urls, expected, options.streams) as crowd, Rudeness(urls, options.seed) as rude:
        while time.monotonic() < end_s:
            await asyncio.sleep(SAMPLE_EVERY_S)
            for name, pid in served.state["pids"].items():
                samples.setdefault(name, []).append(resident_mib(pid))
        await crowd.leave()
        print(f"{crowd.num_ended} streams ended, {rude.num_done} rude requests, {len(crowd.failures)} failures")
        failures = crowd.failures + rude.failures
    print(table(samples))
    return failures + grown(samples)


async def run(served: Served, options: argparse.Namespace) -> list[str]:
    failures = await (soak if options.soak else poison if options.poison else chaos)(served, options)
    await balanced(served)
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soak", action="store_true", help="no faults; clients that leave, err and dawdle")
    parser.add_argument("--poison", action="store_true", help="requests that end their executor, and no other faults")
    parser.add_argument("--log", type=Path, help="where to write what the services say")
    options = parser.parse_args()
    environment = {"PYTHONPATH": PYTHONPATH} if options.poison else {}
    replicas = ",".join(f"{kind}={options.replicas}" for kind in KINDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "--replicas", replicas, "--threads", "1", environment=environment) as served,
    ):
        try:
            failures = asyncio.run(run(served, options))
        finally:
            if options.log:
                options.log.write_text("".join(served.output))
    for failure in failures:
        print("FAILED", failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
