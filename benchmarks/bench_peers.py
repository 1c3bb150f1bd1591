"""Xylem against other servers on this machine: the same random weights, the same prompts, taking turns in one run.

    python -m benchmarks.bench_peers --prepare                  # installs, builds and converts, once
    python -m benchmarks.bench_peers --json peers.json
    python -m benchmarks.bench_peers --peers openvino llama_cpp-q8_0 --cases decode-1 prefill-512 --json peers.json

decode-N: tokens/s of N sequences, in process. prefill-N: tokens/s of one prompt of N tokens, in process. shared-prefix,
multi-turn: output tokens/s of 32 clients over HTTP (bench_serving's data sets, completions of text), each side with its
own prefix cache. A ratio is Xylem's rate to the peer's in the same round; the figure is the median of the rounds.
With --json, results are put into the file beside those of other cases and peers that are already there.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison, merged
from benchmarks.environments import NotInstalled
from benchmarks.machine import machine
from benchmarks.peer_cases import ENGINE_CASES, SERVING_CASES
from benchmarks.peers.protocol import KV_BYTES
from benchmarks.rivals import Rival, made_ready, names
from benchmarks.shapes import qwen_05b
from benchmarks.systems import bare_loop, whole_system

MEMORY = ("--kv-bytes", str(KV_BYTES))


def ready(arguments: argparse.Namespace, comparison: Comparison, model: Path) -> list[Rival]:
    found = []
    for name in arguments.peers:
        print(f"making {name} ready", flush=True)
        try:
            found.append(made_ready(name, model, arguments.folder / "peers"))
        except NotInstalled as error:
            comparison.leave_out(name, error)
    return found


def table(rows: list[dict[str, Any]]) -> Table:
    drawn = Table("case", "peer", title="tokens/s, medians; ratio: xylem to peer", title_justify="left")
    for heading in ("xylem", "peer", "ratio", "lowest", "highest"):
        drawn.add_column(heading, justify="right")
    for row in rows:
        spread = (f"{row['ratio']:.2f}", f"{min(row['ratios']):.2f}", f"{max(row['ratios']):.2f}")
        drawn.add_row(row["case"], row["peer"], f"{row['xylem_rate']:.1f}", f"{row['peer_rate']:.1f}", *spread)
    return drawn


def parsed() -> argparse.Namespace:
    cases = [case.name for case in (*ENGINE_CASES, *SERVING_CASES)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=names(), default=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases, metavar="CASE", help=", ".join(cases))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prepare", action="store_true", help="install and convert, measure nothing")
    parser.add_argument("--engine-flags", default="", help="for benchmarks.in_process, separated by spaces")
    parser.add_argument("--serve-flags", default="", help="for xylem serve, separated by spaces")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "xylem-bench")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    arguments = parsed()
    comparison = Comparison(arguments.rounds)
    model = qwen_05b(arguments.folder)
    rivals = ready(arguments, comparison, model)
    if arguments.prepare:
        return
    where = machine()
    engines = [rival for rival in rivals if rival.about.engine]
    if cases := [case for case in ENGINE_CASES if case.name in arguments.cases]:
        own = bare_loop(str(model), "bfloat16", [*MEMORY, *arguments.engine_flags.split()])
        comparison.play(cases, own, engines, Rival.engine)
    servers = [rival for rival in rivals if rival.about.server]
    if shapes := [case for case in SERVING_CASES if case.name in arguments.cases]:
        system = whole_system(str(model), "bfloat16", [*MEMORY, *arguments.serve_flags.split()])
        comparison.play(shapes, system, servers, Rival.server)
    rows = merged(arguments.json, [asdict(result) | where for result in comparison.results])
    print(f"{where['date']}, {where['cores']} cores, load {where['load']}; left out: {comparison.left_out or 'nobody'}")
    Console().print(table(rows))
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"kind": "peers", "left_out": comparison.left_out, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
