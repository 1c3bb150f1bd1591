"""Sides that take turns at cases, and what comes of it."""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.children import NotStarted
from benchmarks.peer_cases import ENGINE_CASES, SERVING_CASES, EngineCase, ServingCase
from benchmarks.rivals import Rival

Side = TypeVar("Side")
XYLEM = "xylem"


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


def merged(file: Path | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the file has, with the new rows in the place of older ones of the same case and peer."""
    before = json.loads(file.read_text())["rows"] if file and file.exists() else []
    by_key = {(row["case"], row["peer"]): row for row in [*before, *rows]}
    order = [case.name for case in (*ENGINE_CASES, *SERVING_CASES)]
    return sorted(by_key.values(), key=lambda row: order.index(row["case"]))
