"""The executor's engine in process: decoding, reading prompts, and where the time of a step goes.

    python -m benchmarks.bench_engine                           # Qwen2.5-0.5B's shape, random weights, bfloat16
    python -m benchmarks.bench_engine --shape demonstration     # the built-in model, float32
    python -m benchmarks.bench_engine --batch 1 32 --prompt 512 --rounds 5 --json engine.json

The native backend, the `cpu` backend (torch, oneDNN) and a plain loop over transformers hold the same weights and take
turns, round by round; figures are medians. Decoding begins at contexts spread evenly over 64 to 512 tokens, that of
transformers at their mean, which spares it the padding. "mixed" reads prompts of 256 tokens while others decode.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.in_process import plan_of, start
from benchmarks.shapes import qwen_05b
from benchmarks.timed_ops import TimedOps
from benchmarks.transformers_loop import TransformersLoop
from xylem.shared.model_info.model_card import locate

SHORTEST, LONGEST = 64, 512
MIXED_ROWS, MIXED_PROMPT = 16, 256
PARTS = ("layers", "linear", "attention", "pointwise", "sampling")


@dataclass(frozen=True)
class Run:
    """tokens in wall_s seconds and num_steps steps; spent_s: of each part."""

    num_tokens: int
    wall_s: float
    num_steps: int = 1
    spent_s: dict[str, float] | None = None


class Loop:
    """One engine, driven as fast as it goes."""

    def __init__(self, model: str, backend: str, *, dtype: str, quantization: str) -> None:
        self._timed = TimedOps(backend)
        self._engine = start(model, dtype=dtype, kernels=self._timed.name, quantization=quantization)
        runner = self._engine.runner
        for page in range(1, runner.num_pages):  # memory that nobody wrote is not there yet, and reads too fast
            runner.copy_page(0, page, runner.page_size)
        self._number = 0

    def run(self, prompts: list[list[int]], num_output: int, *, num_unread: int | None = None) -> Run:
        """From the first step to the end of all."""
        self._engine.apply(plan_of(prompts, num_output, self._engine, self._number, num_unread=num_unread))
        self._number += 1
        self._timed.spent_s.clear()
        first_step, num_drawn = self._engine.num_steps, 0
        started_s = time.perf_counter()
        while self._engine.has_work():
            num_drawn += len(self._engine.step().token_ids)
        wall_s = time.perf_counter() - started_s
        return Run(num_drawn, wall_s, self._engine.num_steps - first_step, dict(self._timed.spent_s))


def contexts(num_rows: int) -> list[list[int]]:
    lengths = [SHORTEST + (LONGEST - SHORTEST) * (2 * row + 1) // (2 * num_rows) for row in range(num_rows)]
    return [[300 + row] * length for row, length in enumerate(lengths)]


def cases(arguments: argparse.Namespace, plain: TransformersLoop) -> dict[str, dict[str, Callable[[Loop], Run]]]:
    """By name: what an engine does, and what the plain loop does (under "plain", if it can)."""
    found: dict[str, dict[str, Callable[[Loop], Run]]] = {}
    for batch in arguments.batch:
        prompts = contexts(batch)
        mean = sum(map(len, prompts)) // batch
        found[f"decode, batch {batch}"] = {
            "engine": lambda loop, prompts=prompts: loop.run(prompts, arguments.steps, num_unread=1),
            "plain": lambda _, batch=batch, mean=mean: Run(
                batch * arguments.steps, plain.decode(batch, mean, arguments.steps)
            ),
        }
    for length in arguments.prompt:
        found[f"prompt of {length}"] = {
            "engine": lambda loop, length=length: _reading(
                loop.run([[300 + i % 700 for i in range(length)]], 1), length
            ),
            "plain": lambda _, length=length: Run(length, plain.prefill(length)),
        }
    mixed = [[300 + row] * MIXED_PROMPT for row in range(MIXED_ROWS)]
    found["mixed"] = {
        "engine": lambda loop: _reading(loop.run(mixed, arguments.steps), MIXED_ROWS * (MIXED_PROMPT + arguments.steps))
    }
    return found


def _reading(run: Run, num_tokens: int) -> Run:
    """The same run, with the prompt's tokens as those that count."""
    return Run(num_tokens, run.wall_s, run.num_steps, run.spent_s)


def figures_of(runs: dict[str, list[Run]]) -> dict[str, dict[str, float]]:
    """Of each contestant: tokens/s, ms a step, and the share of each part."""
    found: dict[str, dict[str, float]] = {}
    for name, of_name in runs.items():
        figures = {"tokens_per_s": statistics.median(run.num_tokens / run.wall_s for run in of_name)}
        if of_name[0].spent_s is not None:
            figures["step_ms"] = statistics.median(1e3 * run.wall_s / run.num_steps for run in of_name)
            wall_s = sum(run.wall_s for run in of_name)
            shares = {part: sum((run.spent_s or {}).get(part, 0.0) for run in of_name) / wall_s for part in PARTS}
            figures |= shares | {"host": 1 - sum(shares.values())}
        found[name] = figures
    return found


def table(results: dict[str, dict[str, dict[str, float]]], when: str) -> Table:
    drawn = Table("case", "backend", title=f"tokens/s, ms a step and where it goes; {when}")
    for heading in ("tokens/s", "ms", *PARTS, "host"):
        drawn.add_column(heading, justify="right")
    for case, of_case in results.items():
        for name, figures in of_case.items():
            parts = [f"{figures[part]:.1%}" if part in figures else "" for part in (*PARTS, "host")]
            step_ms = f"{figures['step_ms']:.2f}" if "step_ms" in figures else ""
            drawn.add_row(case, name, f"{figures['tokens_per_s']:.1f}", step_ms, *parts)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("qwen", "demonstration"), default="qwen")
    parser.add_argument("--backends", nargs="*", default=["native", "cpu"])
    parser.add_argument("--quantization", default="none", help="of the native backend")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8, 32, 64])
    parser.add_argument("--prompt", type=int, nargs="*", default=[512, 2048])
    parser.add_argument("--steps", type=int, default=16, help="of each round of decoding")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    arguments = parser.parse_args()
    when = f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    qwen = arguments.shape == "qwen"
    model = str(qwen_05b(Path(tempfile.gettempdir()) / "xylem-bench") if qwen else locate("demonstration"))
    dtype = "bfloat16" if qwen else "float32"
    num_threads = torch.get_num_threads()
    loops: dict[str, Loop] = {}
    settled: dict[str, int] = {"transformers": num_threads}
    for backend in arguments.backends:
        torch.set_num_threads(num_threads)
        loops[backend] = Loop(
            model, backend, dtype=dtype, quantization=arguments.quantization if backend == "native" else "none"
        )
        settled[backend] = torch.get_num_threads()
    plain = TransformersLoop(model, dtype=dtype)
    results = {}
    for case, ways in cases(arguments, plain).items():
        runs: dict[str, list[Run]] = defaultdict(list)
        for number in range(arguments.rounds + 1):  # the first round warms up and is not counted
            for name in (*loops, *(("transformers",) if "plain" in ways else ())):
                torch.set_num_threads(settled[name])
                run = ways["engine" if name in loops else "plain"](loops.get(name))  # type: ignore[arg-type]
                if number:
                    runs[name].append(run)
        results[case] = figures_of(runs)
    Console(width=110).print(table(results, f"{when}, threads {settled}"))
    if arguments.json:
        settings = {name: value for name, value in vars(arguments).items() if name != "json"}
        arguments.json.write_text(
            json.dumps({"when": when, "settings": settings, "threads": settled, "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
