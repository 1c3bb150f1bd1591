"""What drawing tokens costs: each way of shaping logits alone, and all of them, against greedy draws of the same rows.

    python -m benchmarks.bench_sampler
    python -m benchmarks.bench_sampler --backend reference --rounds 3 --json sampler.json

64 rows of 151,936 logits, shaped as a model's (a few tokens stand out) or flat (normal: thousands share a nucleus).
Cases take turns, round by round; the first round warms up. What is compared is the least CPU time of all rounds, to
which other processes on a shared machine add little; the median of the time that passed stands beside it.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from xylem.kernels import registry
from xylem.kernels.interface import LogitsAdjustment, Ops
from xylem.shared.protocol import SamplingParams

BASE = "greedy"
NUM_SEEN, NUM_OUTPUT, NUM_BIASED, NUM_TOP = 1000, 500, 50, 20
Operation = Callable[[torch.Tensor], object]


@dataclass(frozen=True)
class Figure:
    """One case. cpu_ms: least CPU time; passed_ms: median of the time that passed; to_greedy: ratio of CPU times."""

    name: str
    cpu_ms: float
    passed_ms: float
    to_greedy: float


def logits_like(shape: str, num_rows: int, vocab_size: int) -> torch.Tensor:
    """model: a normal crowd, and 200 tokens of each row that stand out, by up to what makes one nearly certain."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(num_rows, vocab_size, generator=draw) * (2.5 if shape == "flat" else 1.5)
    if shape == "model":
        ids = torch.randint(vocab_size, (num_rows, 200), generator=draw)
        heights = torch.empty(num_rows, 200).exponential_(0.25, generator=draw) + 6
        logits.scatter_(1, ids, heights)
    return logits


def adjustments(num_rows: int, vocab_size: int, kind: str) -> list[LogitsAdjustment]:
    """The columns of one feature, or of all of them, for every row."""
    draw = np.random.default_rng(1)

    def some(count: int) -> np.ndarray:
        return draw.choice(vocab_size, count, replace=False)

    def of_row() -> LogitsAdjustment:
        made = LogitsAdjustment()
        if kind in ("repetition", "all"):
            made.repetition, made.seen_ids = 1.1, some(NUM_SEEN)
        if kind in ("frequency, presence", "all"):
            made.frequency, made.presence = 0.5, 0.2
            made.output_ids, made.output_counts = some(NUM_OUTPUT), np.ones(NUM_OUTPUT, dtype=np.float32)
        if kind in ("bias", "all"):
            made.bias_ids, made.bias_values = some(NUM_BIASED), np.ones(NUM_BIASED, dtype=np.float32)
        if kind == "min_tokens":
            made.forbidden_ids = some(2)
        return made

    return [of_row() for _ in range(num_rows)]


def cases(backend: Ops, num_rows: int, vocab_size: int) -> dict[str, Operation]:
    """What is timed, by name; each takes fresh logits, which it may change."""
    words = torch.randint(-(2**31), 2**31, (num_rows, -(-vocab_size // 32)), dtype=torch.int64)
    mask = words.to(torch.int32)  # half of the vocabulary is allowed, here and there
    positions = list(range(num_rows))

    def sampling(**how: float) -> Operation:
        draws = [SamplingParams(seed=i, **how) for i in range(num_rows)]  # type: ignore[arg-type]
        return lambda logits: backend.sample(logits, draws, positions)

    def adjusting(kind: str) -> Operation:
        rows = adjustments(num_rows, vocab_size, kind)
        return lambda logits: backend.adjust(logits, rows, None)

    everything = adjustments(num_rows, vocab_size, "all")
    drawing = sampling(temperature=0.8, top_p=0.9, top_k=50, min_p=0.02)

    def all_features(logits: torch.Tensor) -> object:
        backend.adjust(logits, everything, mask)
        return drawing(logits)

    return {
        "torch argmax": lambda logits: logits.argmax(-1).tolist(),
        BASE: sampling(temperature=0.0),
        "temperature": sampling(temperature=0.8),
        "top_k 50": sampling(temperature=0.8, top_k=50),
        "top_p 0.9": sampling(temperature=0.8, top_p=0.9),
        "min_p 0.02": sampling(temperature=0.8, min_p=0.02),
        "top_k, top_p, min_p": drawing,
        "repetition": adjusting("repetition"),
        "frequency, presence": adjusting("frequency, presence"),
        "bias": adjusting("bias"),
        "min_tokens": adjusting("min_tokens"),
        "mask": lambda logits: backend.adjust(logits, [None] * num_rows, mask),
        "all features": all_features,
        f"log probs, top {NUM_TOP}": lambda logits: backend.score(
            logits, positions, [NUM_TOP] * num_rows, [[]] * num_rows
        ),
    }


def measure(operations: dict[str, Operation], logits: torch.Tensor, rounds: int) -> list[Figure]:
    cpu_s: dict[str, list[float]] = {name: [] for name in operations}
    passed_s: dict[str, list[float]] = {name: [] for name in operations}
    fresh = torch.empty_like(logits)
    for _ in range(rounds + 1):
        for name, operation in operations.items():
            fresh.copy_(logits)
            cpu_started_s, started_s = time.process_time(), time.perf_counter()
            operation(fresh)
            cpu_s[name].append(time.process_time() - cpu_started_s)
            passed_s[name].append(time.perf_counter() - started_s)
    least_s = {name: min(times[1:]) for name, times in cpu_s.items()}
    return [
        Figure(name, least_s[name] * 1e3, statistics.median(times[1:]) * 1e3, least_s[name] / least_s[BASE])
        for name, times in passed_s.items()
    ]


def table(title: str, figures: list[Figure]) -> Table:
    drawn = Table("case", title=title)
    for heading in ("CPU, ms", "passed, ms", "to greedy"):
        drawn.add_column(heading, justify="right")
    for figure in figures:
        drawn.add_row(figure.name, f"{figure.cpu_ms:.1f}", f"{figure.passed_ms:.1f}", f"{figure.to_greedy:.1f}")
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=tuple(registry.BACKENDS), default="cpu")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--threads", type=int, default=1, help="of torch; the CPU's sampling takes one whatever it says"
    )
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    when = f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    backend = registry.load(arguments.backend, torch.device("cpu"))
    results = {}
    for shape in ("model", "flat"):
        logits = logits_like(shape, arguments.rows, arguments.vocabulary)
        operations = cases(backend, arguments.rows, arguments.vocabulary)
        with torch.inference_mode():
            figures = measure(operations, logits, arguments.rounds)
        results[shape] = [asdict(figure) for figure in figures]
        title = f"{arguments.backend}, {arguments.rows} rows of {arguments.vocabulary}, logits: {shape}; {when}"
        Console().print(table(title, figures))
    if arguments.json:
        settings = {name: value for name, value in vars(arguments).items() if name != "json"}
        arguments.json.write_text(json.dumps({"when": when, "settings": settings, "results": results}, indent=1))


if __name__ == "__main__":
    main()
