"""Load on any server of OpenAI's API, from outside: how soon, how fast, how much, and what it had cached.

    python -m benchmarks.bench_serving --url http://127.0.0.1:8000 --model demonstration --dataset multi-turn
    python -m benchmarks.bench_serving ... --dataset mixed --rate 0.5,1,2,4 --json rates.json
    python -m benchmarks.bench_serving ... --dataset random --set input=512 output=128 --api ids --concurrency 1,8,32

Latencies count from the moment a request was intended for, not from when it was sent. Ctrl-C prints what there is. A
key is taken from OPENAI_API_KEY.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.client import Client
from benchmarks.datasets import DATASETS, Dataset
from benchmarks.figures import Figures, Goals, figures
from benchmarks.machine import machine
from benchmarks.serving_run import Pace, Run, run
from benchmarks.serving_table import label, table
from benchmarks.stream import Target

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("sessions"),
           TextColumn("{task.fields[said]}"), TimeElapsedColumn())  # fmt: skip


def dataset_of(name: str, options: list[str]) -> Dataset:
    """Raises ValueError for an option that the data set does not have, or that is not a number."""
    plain: Any = DATASETS[name]()
    values = {}
    for option in options:
        key, _, value = option.partition("=")
        if not hasattr(plain, key):
            raise ValueError(f"{name} has no option {key}, but {', '.join(dataclasses.asdict(plain))}")
        values[key] = type(getattr(plain, key))(value)
    made: Dataset = dataclasses.replace(plain, **values)
    return made


def paces_of(arguments: argparse.Namespace) -> list[Pace]:
    if arguments.rate:
        return [Pace(rate=rate) for rate in arguments.rate]
    return [Pace(clients=clients) for clients in arguments.concurrency]


def measure(client: Client, dataset: Dataset, pace: Pace, arguments: argparse.Namespace, seed: int) -> Run:
    """One run under a progress bar."""
    with Progress(*COLUMNS, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(label(pace), total=arguments.sessions, said="")

        def changed(so_far: Run) -> None:
            errors = sum(not record.completed for record in so_far.records)
            progress.update(bar, completed=so_far.sessions, said=f"{len(so_far.records)} requests, {errors} errors")

        return asyncio.run(
            run(client, dataset, num_sessions=arguments.sessions, pace=pace, limit_s=arguments.limit_s,
                seed=seed, changed=changed)
        )  # fmt: skip


def numbers(kind: type[float]) -> Any:
    return lambda text: [kind(part) for part in text.split(",")]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--api", choices=("chat", "completions", "ids"), default="chat",
                        help="ids: completions of token ids, exactly as long as the data set says")  # fmt: skip
    parser.add_argument("--dataset", choices=DATASETS, default="random")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="options of the data set")
    parser.add_argument("--sessions", type=int, default=64, help="of the data set, in each run")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--concurrency", type=numbers(int), default=[8], metavar="N,...", help="clients that take turns")
    pace.add_argument("--rate", type=numbers(float), metavar="R,...", help="sessions a second, arriving at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ignore-eos", action="store_true", help="full lengths, where the server knows that field")
    parser.add_argument("--more", type=json.loads, default={}, metavar="JSON", help="fields for every body")
    parser.add_argument("--slo-ttft-ms", type=float, default=Goals.ttft_ms)
    parser.add_argument("--slo-itl-ms", type=float, default=Goals.itl_ms)
    parser.add_argument("--timeout-s", type=float, default=600.0, help="of a request")
    parser.add_argument("--limit-s", type=float, help="of a run, which is then cut short")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        arguments.made = dataset_of(arguments.dataset, arguments.set)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    arguments = parsed()
    more = arguments.more | ({"ignore_eos": True} if arguments.ignore_eos else {})
    target = Target(arguments.url, arguments.model, os.environ.get("OPENAI_API_KEY", ""))
    client = Client(target, arguments.api, arguments.timeout_s, more)
    found: list[tuple[Pace, Figures]] = []
    for number, pace in enumerate(paces_of(arguments)):
        # Another seed for each load: what an earlier one asked is in the server's cache.
        ran = measure(client, arguments.made, pace, arguments, arguments.seed + number)
        found.append((pace, figures(ran.records, ran.wall_s, Goals(arguments.slo_ttft_ms, arguments.slo_itl_ms))))
        if ran.stopped and not arguments.limit_s:
            break
    where = machine()
    title = f"{arguments.dataset} on {arguments.url}, {where['date']}, {where['cores']} cores, load {where['load']}"
    Console().print(table(title, found))
    if arguments.json:
        points = [dataclasses.asdict(pace) | dataclasses.asdict(of) for pace, of in found]
        asked = {name: getattr(arguments, name) for name in ("dataset", "url", "model", "api", "sessions", "seed")}
        asked["options"] = dataclasses.asdict(arguments.made)
        arguments.json.write_text(json.dumps({"kind": "serving", **asked, **where, "points": points}, indent=1))
    sys.exit(0 if any(of.completed for _, of in found) else 1)


if __name__ == "__main__":
    main()
