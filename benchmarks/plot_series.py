"""What plots show, taken out of the JSON files of bench_serving and bench_peers; plot.py draws it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Line:
    """Throughput against latency: a point for each load, with the load as its label."""

    name: str
    throughput: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)


@dataclass
class Bars:
    """Ratios by case, a group of bars for each, in the order of `cases`. None where a peer has no result."""

    cases: list[str]
    ratios: dict[str, list[float | None]]


def line(name: str, of: dict[str, Any], latency: str) -> Line:
    """Of a file of bench_serving. latency: ttft_ms, itl_ms, tpot_ms or e2e_ms, of which the median is taken.

    Loads that completed nothing have no latency, and no point.
    """
    made = Line(name)
    for point in of["points"]:
        if point[latency] is not None:
            made.throughput.append(point["output_tokens_per_s"])
            made.latency_ms.append(point[latency]["p50"])
            made.loads.append(f"{point['rate']:g}/s" if point["rate"] else str(point["clients"]))
    return made


def bars(rows: Iterable[dict[str, Any]]) -> Bars:
    """Of a file of bench_peers."""
    found = {(row["case"], row["peer"]): float(row["ratio"]) for row in rows}
    cases, peers = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    return Bars(cases, {peer: [found.get((case, peer)) for case in cases] for peer in peers})
