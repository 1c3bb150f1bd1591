"""What the pipeline costs: `xylem serve` against the same executor driven in-process, and the light services alone.

    python -m benchmarks.bench_pipeline demonstration
    python -m benchmarks.bench_pipeline qwen --streams 1,8,32 --rounds 3
    python -m benchmarks.bench_pipeline null --streams 64

Both sides of a comparison are up all the time and take turns, round by round, so that a busy hour of the machine hits
both. Figures are medians over the rounds; loss = 1 - pipeline / in-process; idle: the share of the time between steps
in the pipeline's step thread, while there was work.
"""

import argparse
import asyncio
import json
import os
import statistics
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
from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.ports import free_port

SYSTEM = "bench"
LIGHT = ("tokenizer", "router", "scheduler", "detokenizer", "gateway")


@contextmanager
def nats_server(port: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nats.conf"
        configuration.write_text(f"listen: 127.0.0.1:{port}\nmax_payload: 8MB\n")
        command = [str(Path(sys.executable).with_name("nats-server")), "-c", str(configuration)]
        with process(command, {}):
            yield f"nats://127.0.0.1:{port}"


async def pace(nats_url: str) -> tuple[float, float]:
    """Seconds that the executor has spent in steps, and between two steps while there was work."""
    bus = await Bus.connect(nats_url, "bench")
    reply = await bus.request(subjects.control("executor", f"{SYSTEM}-executor-0"), Control("pace"), ControlReply)
    await bus.drain()
    told = json.loads(reply.detail)
    return told["in_steps_s"], told["between_steps_s"]


@contextmanager
def light_services(model: str) -> Iterator[Target]:
    """The five light services and an executor that computes nothing, each a process, on a NATS server of their own."""
    port = free_port()
    with nats_server(free_port()) as url, ExitStack() as stack:
        environment = {
            "XYLEM_NATS_URL": url,
            "XYLEM_MODEL": model,
            "XYLEM_SERVED_NAME": "bench",
            "XYLEM_PORT": str(port),
            "XYLEM_MAX_RUNNING": "256",
        }
        modules = [f"xylem.services.{name}" for name in LIGHT] + ["benchmarks.null_executor"]
        started = {name: stack.enter_context(process([sys.executable, "-m", name], environment)) for name in modules}
        wait_until_ready(started["xylem.services.gateway"], port, timeout_s=60)
        yield Target(f"http://127.0.0.1:{port}", "bench")


def compare(model: str, dtype: str, loads: list[Load], rounds: int) -> None:
    headings = f"{'streams':>8} {'in-process':>12} {'pipeline':>12} {'loss':>7} {'first token':>12} {'idle':>6}"
    print(f"{headings}   tokens/s, medians")
    with nats_server(free_port()) as nats_url, ExitStack() as stack:
        bare = stack.enter_context(bare_loop(model, dtype))
        target = stack.enter_context(whole_system(model, dtype, ("--nats-url", nats_url, "--id", SYSTEM)))
        for load in loads:
            inside, through, firsts, idle = [], [], [], []
            for seed in range(rounds + 1):  # the first round warms up and is not counted
                steps = bare.ask({"prompts": load.prompts(seed), "num_output": load.num_output})["steps"]
                inside.append(whole_rate(steps))
                before = asyncio.run(pace(nats_url))
                outcome = asyncio.run(run(load, target, seed=seed))
                steps_s, between_s = (now - then for now, then in zip(asyncio.run(pace(nats_url)), before, strict=True))
                idle.append(between_s / (steps_s + between_s))
                through.append(outcome.tokens_per_s)
                firsts.append(outcome.first_token_s)
            bare_rate, rate = statistics.median(inside[1:]), statistics.median(through[1:])
            first_ms = statistics.median(firsts[1:]) * 1e3
            figures = f"{bare_rate:>12.1f} {rate:>12.1f} {1 - rate / bare_rate:>7.1%} {first_ms:>9.0f} ms"
            print(f"{load.num_streams:>8} {figures} {statistics.median(idle[1:]):>6.1%}", flush=True)


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
