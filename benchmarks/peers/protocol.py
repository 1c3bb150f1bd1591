"""What a peer's process is told, and how it answers: `python -m benchmarks.peers.NAME DO MODEL WORK VARIANT [PORT]`.

prepare   makes what the peer needs from the model's folder, in the folder WORK, if it is not there; may take minutes
engine    loads it, says "ready", and answers orders on stdin, a line of JSON each, until stdin ends
serve     serves OpenAI's API on 127.0.0.1:PORT, with the peer's own prefix cache, under the name MODEL_NAME
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MODEL_NAME = "bench"
MAX_RUNNING = 64  # sequences at once, in engines and servers
KV_BYTES = 1 << 30  # memory for keys and values that every side gets
KV_TOKENS = KV_BYTES // 12_288  # in that shape: 24 layers, keys and values of 2 heads of 64 numbers of 2 bytes


@dataclass(frozen=True)
class About:
    """What bench_peers must know of a peer.

    requirements: what pip installs; without: what comes along and stands in the way; variants: forms of the weights,
    the first being bfloat16; engine, server: which of both it has; ready_path: of what a GET succeeds once the server
    is ready.
    """

    requirements: tuple[str, ...]
    variants: tuple[str, ...]
    without: tuple[str, ...] = ()
    engine: bool = True
    server: bool = True
    ready_path: str = "/v1/models"


Step = tuple[float, int]
"""Seconds since the order came, and tokens drawn in the step that ended then."""


class Engine(Protocol):
    def round(self, prompts: list[list[int]], num_output: int) -> Iterable[Step]:
        """All prompts at once, each to exactly num_output greedy tokens; nothing is taken from a cache."""


def answer_orders(engine: Engine, orders: Iterable[str], answers: Callable[[str], None]) -> None:
    """An order is {"prompts": [[id, ...], ...], "num_output": n}; its answer {"steps": [[seconds, tokens], ...]}."""
    answers("ready")
    for line in orders:
        order = json.loads(line)
        answers(json.dumps({"steps": list(engine.round(order["prompts"], order["num_output"]))}))


def answer_on_stdout(engine: Engine) -> None:
    """Whatever else is printed in this process, by libraries too, goes to stderr."""
    with os.fdopen(os.dup(1), "w", buffering=1) as stdout:
        os.dup2(2, 1)
        answer_orders(engine, sys.stdin, lambda line: print(line, file=stdout))


def main(
    prepare: Callable[[Path, Path, str], None],
    engine: Callable[[Path, Path, str], Engine] | None,
    serve: Callable[[Path, Path, str, int], None] | None,
) -> None:
    """Each takes the model's folder, the work folder and the variant; None is what a peer does not have."""
    do, model, work, variant, *port = sys.argv[1:]
    where = Path(model), Path(work), variant
    if do == "prepare":
        prepare(*where)
    elif do == "engine" and engine is not None:
        answer_on_stdout(engine(*where))
    elif do == "serve" and serve is not None:
        serve(*where, int(port[0]))
    else:
        raise SystemExit(f"this peer does not know {do}")
