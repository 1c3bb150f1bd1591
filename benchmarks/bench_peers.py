"""Xylem against other servers on this machine: the same random weights, the same prompts, taking turns in one run.

    python -m benchmarks.bench_peers --prepare                  # installs and converts; takes an hour, then never again
    python -m benchmarks.bench_peers --json peers.json
    python -m benchmarks.bench_peers --peers openvino llama_cpp-q8_0 --cases decode-1 prefill-512 --json peers.json

decode-N: tokens/s of N sequences, in process. prefill-N: tokens/s of one prompt of N tokens, in process. shared-prefix,
multi-turn: output tokens/s of 32 clients over HTTP (bench_serving's data sets, completions of text), each side with its
own prefix cache. A ratio is Xylem's rate to the peer's in the same round; the figure is the median of the rounds.
With --json, results are put into the file beside those of other cases and peers that are already there.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from benchmarks.children import NotStarted
from benchmarks.environments import NotInstalled
from benchmarks.machine import machine
from benchmarks.peer_cases import ENGINE_CASES, SERVING_CASES, EngineCase, ServingCase
from benchmarks.peers.protocol import KV_BYTES
from benchmarks.rivals import Rival, made_ready, names
from benchmarks.shapes import qwen_05b
from benchmarks.systems import bare_loop, whole_system

Side = TypeVar("Side")
XYLEM = "xylem"
MEMORY = ("--kv-bytes", str(KV_BYTES))


@dataclass(frozen=True)
class Result:
    """One case against one peer, in one run. Rates are tokens/s, medians over the rounds; ratios are of each round."""

    case: str
    peer: str
    xylem_rate: float
    peer_rate: float
    ratio: float
    ratios: list[float]


def compared(case: str, rates: dict[str, list[float]]) -> list[Result]:
    """rates: of each side, by round; all sides have as many."""
    found = []
    for peer, theirs in rates.items():
        if peer != XYLEM:
            ratios = [ours / other for ours, other in zip(rates[XYLEM], theirs, strict=True)]
            medians = (statistics.median(rates[XYLEM]), statistics.median(theirs), statistics.median(ratios))
            found.append(Result(case, peer, *medians, ratios))
    return found


class Comparison:
    """Results, and who was left out with the reason."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self.results: list[Result] = []
        self.left_out: dict[str, str] = {}

    def leave_out(self, name: str, reason: object) -> None:
        self.left_out[name] = str(reason) or type(reason).__name__
        print(f"{name} is left out: {reason}", file=sys.stderr, flush=True)

    def play(
        self,
        cases: Sequence[EngineCase] | Sequence[ServingCase],
        own: AbstractContextManager[Side],
        rivals: Sequence[Rival],
        started: Callable[[Rival], AbstractContextManager[Side]],
    ) -> None:
        """All sides are up all the time and take turns."""
        with ExitStack() as stack:
            sides = {XYLEM: stack.enter_context(own)}
            for rival in rivals:
                try:
                    sides[rival.name] = stack.enter_context(started(rival))
                except (NotStarted, TimeoutError) as error:
                    self.leave_out(rival.name, error)
            for case in cases:
                self.results += compared(case.name, self._rates(case, sides))

    def _rates(self, case: Any, sides: dict[str, Any]) -> dict[str, list[float]]:
        """By side and round. A peer that fails is out of all that follows."""
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(-1, self._rounds):
            for name in list(sides):
                try:
                    if number < 0:
                        case.warm_up(sides[name])
                        continue
                    rates[name].append(case.rate(sides[name], seed=number))
                    print(f"{case.name}, round {number}, {name}: {rates[name][-1]:.1f} tokens/s", file=sys.stderr)
                except (NotStarted, RuntimeError) as error:
                    if name == XYLEM:
                        raise
                    self.leave_out(name, error)
                    del rates[name], sides[name]
        return rates


def ready(arguments: argparse.Namespace, comparison: Comparison, model: Path) -> list[Rival]:
    found = []
    for name in arguments.peers:
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


def merged(file: Path | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the file has, with the new rows in the place of older ones of the same case and peer."""
    before = json.loads(file.read_text())["rows"] if file and file.exists() else []
    by_key = {(row["case"], row["peer"]): row for row in [*before, *rows]}
    order = [case.name for case in (*ENGINE_CASES, *SERVING_CASES)]
    return sorted(by_key.values(), key=lambda row: order.index(row["case"]))


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
