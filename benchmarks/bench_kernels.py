"""What the operations of the model cost, at the shapes of Qwen2.5-0.5B in bfloat16, against torch's and the memory.

    python -m benchmarks.bench_kernels
    python -m benchmarks.bench_kernels --shapes gate_up,head --rows 1,32 --json kernels.json

Ways of doing the same take turns, round by round; the first round warms up, and the figure is the median call of the
best of the others, to which other processes on a shared machine add little. Each call has weights of its own, more in
all than any cache holds. GB/s is what has to be read over the time, beside it its share of what reading a large tensor
gave in the same run.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.kernel_cases import SHAPES, STEPS, Group, attentions, linears
from xylem.kernels.native.memory import HugePageArena

READ_BYTES = 1 << 30
MOST_CALLS_S = 1.0  # for one case in one round


@dataclass(frozen=True)
class Figure:
    """One case. us: of a call; bandwidth_share: of the machine's own."""

    name: str
    rows: int
    way: str
    us: float
    gb_per_s: float
    bandwidth_share: float
    gflop_per_s: float


def bandwidth(rounds: int = 5) -> float:
    """GB/s of reading, with all threads, from memory that no cache holds."""
    memory = HugePageArena().zeros((READ_BYTES // 8,), torch.int64).zero_()
    best_s = float("inf")
    for _ in range(rounds):
        started_s = time.perf_counter()
        memory.sum()
        best_s = min(best_s, time.perf_counter() - started_s)
    return READ_BYTES / best_s / 1e9


def measure(group: Group, rounds: int, gb_per_s: float) -> Iterator[Figure]:
    best_s = [float("inf")] * len(group.cases)
    for number in range(rounds + 1):
        for i, case in enumerate(group.cases):
            took_s: list[float] = []
            for call in case.calls:
                started_s = time.perf_counter()
                call()
                took_s.append(time.perf_counter() - started_s)
                if sum(took_s) > MOST_CALLS_S:
                    break
            if number:
                best_s[i] = min(best_s[i], statistics.median(took_s))
    for case, call_s in zip(group.cases, best_s, strict=True):
        read = case.num_bytes / call_s / 1e9
        yield Figure(
            group.name, group.rows, case.way, call_s * 1e6, read, read / gb_per_s, case.num_flops / call_s / 1e9
        )


def table(title: str, figures: list[Figure]) -> Table:
    drawn = Table("operation", "rows", "way", title=title)
    for heading in ("us", "GB/s", "of memory's", "GFLOP/s"):
        drawn.add_column(heading, justify="right")
    for f in figures:
        drawn.add_row(
            f.name, str(f.rows), f.way, f"{f.us:.0f}", f"{f.gb_per_s:.1f}", f"{f.bandwidth_share:.0%}",
            f"{f.gflop_per_s:.0f}",
        )  # fmt: skip
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--attention", nargs="*", default=list(STEPS), metavar="STEP", help="empty: none")
    parser.add_argument("--rows", default="1,8,32,64,512,2048")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    when = f"{time.strftime('%Y-%m-%d %H:%M')}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}"
    rows = [int(number) for number in arguments.rows.split(",")]
    gb_per_s = bandwidth()
    figures: list[Figure] = []
    with torch.inference_mode():
        shapes = [name for name in arguments.shapes.split(",") if name]
        for group in chain(linears(rows, shapes), attentions(arguments.attention)):
            figures += measure(group, arguments.rounds, gb_per_s)
    title = f"{when}; reading memory: {gb_per_s:.1f} GB/s"
    Console().print(table(title, figures))
    if arguments.json:
        settings = {name: value for name, value in vars(arguments).items() if name != "json"}
        results = [asdict(figure) for figure in figures]
        arguments.json.write_text(
            json.dumps({"when": when, "gb_per_s": gb_per_s, "settings": settings, "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
