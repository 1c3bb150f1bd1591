"""What the pipeline costs: `xylem serve` against the same executor driven in-process, and the light services alone.

    python -m benchmarks.bench_pipeline demonstration
    python -m benchmarks.bench_pipeline qwen --streams 1,8,32 --rounds 3
    python -m benchmarks.bench_pipeline null --streams 64

Both sides of a comparison are up all the time and take turns, round by round, so that a busy hour of the machine hits
both. Figures are medians over the rounds; loss = 1 - pipeline / in-process.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.children import process
from benchmarks.load import Load, run
from benchmarks.readiness import wait_until_ready
from benchmarks.shapes import qwen_05b
from benchmarks.steps import whole_rate
from benchmarks.stream import Target
from benchmarks.systems import bare_loop, whole_system
from shared.ports import free_port

LIGHT = ("tokenizer", "router", "scheduler", "detokenizer", "gateway")


@contextmanager
def light_services(model: str) -> Iterator[Target]:
    """The five light services and an executor that computes nothing, each a process, on a NATS server of their own."""
    port, nats_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nats.conf"
        configuration.write_text(f"listen: 127.0.0.1:{nats_port}\nmax_payload: 8MB\n")
        server = subprocess.Popen(
            [Path(sys.executable).with_name("nats-server"), "-c", str(configuration)], stderr=subprocess.DEVNULL
        )
        environment = {
            "XYLEM_NATS_URL": f"nats://127.0.0.1:{nats_port}",
            "XYLEM_MODEL": model,
            "XYLEM_SERVED_NAME": "bench",
            "XYLEM_PORT": str(port),
            "XYLEM_MAX_RUNNING": "256",
        }
        try:
            modules = [f"services.{name}" for name in LIGHT] + ["benchmarks.null_executor"]
            with ExitStack() as stack:
                started = {
                    name: stack.enter_context(process([sys.executable, "-m", name], environment)) for name in modules
                }
                wait_until_ready(started["services.gateway"], port, timeout_s=60)
                yield Target(f"http://127.0.0.1:{port}", "bench")
        finally:
            server.terminate()
            server.wait()


def compare(model: str, dtype: str, loads: list[Load], rounds: int) -> None:
    print(f"{'streams':>8} {'in-process':>12} {'pipeline':>12} {'loss':>7} {'first token':>12}   tokens/s, medians")
    with bare_loop(model, dtype) as bare, whole_system(model, dtype) as target:
        for load in loads:
            inside, through, firsts = [], [], []
            for seed in range(rounds + 1):  # the first round warms up and is not counted
                steps = bare.ask({"prompts": load.prompts(seed), "num_output": load.num_output})["steps"]
                inside.append(whole_rate(steps))
                outcome = asyncio.run(run(load, target, seed=seed))
                through.append(outcome.tokens_per_s)
                firsts.append(outcome.first_token_s)
            bare_rate, rate = statistics.median(inside[1:]), statistics.median(through[1:])
            first_ms = statistics.median(firsts[1:]) * 1e3
            figures = f"{bare_rate:>12.1f} {rate:>12.1f} {1 - rate / bare_rate:>7.1%} {first_ms:>9.0f} ms"
            print(f"{load.num_streams:>8} {figures}", flush=True)


def sustain(model: str, loads: list[Load], rounds: int) -> None:
    print(f"{'streams':>8} {'tokens/s':>12} {'first token':>12}   five light services, an executor of zero time")
    with light_services(model) as target:
        for load in loads:
            outcomes = [asyncio.run(run(load, target, seed=seed)) for seed in range(rounds + 1)][1:]
            rate = statistics.median(outcome.tokens_per_s for outcome in outcomes)
            first_ms = statistics.median(outcome.first_token_s for outcome in outcomes) * 1e3
            print(f"{load.num_streams:>8} {rate:>12.0f} {first_ms:>9.0f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("demonstration", "qwen", "null"))
    parser.add_argument("--streams", default="1,8,32")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--output-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "xylem-bench")
    arguments = parser.parse_args()
    loads = [
        Load(int(streams), arguments.prompt_tokens, arguments.output_tokens) for streams in arguments.streams.split(",")
    ]
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {arguments}")
    if arguments.what == "null":
        sustain("demonstration", loads, arguments.rounds)
    elif arguments.what == "qwen":
        compare(str(qwen_05b(arguments.folder)), "bfloat16", loads, arguments.rounds)
    else:
        compare("demonstration", "float32", loads, arguments.rounds)


if __name__ == "__main__":
    main()
