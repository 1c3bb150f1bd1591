"""Plots of what was measured, as SVG beside the files: needs matplotlib, `pip install 'xylem-serve[bench]'`.

python -m benchmarks.plot ours.json theirs.json     # of bench_serving: a line for each, over their loads
python -m benchmarks.plot peers.json                # of bench_peers: bars of ratios
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "xylem"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

from benchmarks.plot_series import Bars, Line, bars, line  # noqa: E402

LATENCIES = {"ttft_ms": "median time to first token, ms", "tpot_ms": "median time per output token, ms"}


def draw_lines(lines: list[Line], latency: str, title: str, target: Path) -> None:
    """Up and to the left is better; the labels are clients, or sessions a second."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for one in lines:
        axes.plot(one.latency_ms, one.throughput, marker="o", label=one.name)
        for x, y, load in zip(one.latency_ms, one.throughput, one.loads, strict=True):
            axes.annotate(load, (x, y), textcoords="offset points", xytext=(5, 5), fontsize=8)
    axes.set(title=title, xlabel=LATENCIES[latency], ylabel="output tokens/s", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, target)


def draw_bars(of: Bars, target: Path) -> None:
    """Above the line Xylem is faster."""
    figure, axes = pyplot.subplots(figsize=(1 + 1.6 * len(of.cases), 4.5), layout="constrained")
    width = 0.8 / len(of.ratios)
    for number, (peer, ratios) in enumerate(of.ratios.items()):
        places = [
            i + (number - (len(of.ratios) - 1) / 2) * width for i, ratio in enumerate(ratios) if ratio is not None
        ]
        drawn = axes.bar(places, [ratio for ratio in ratios if ratio is not None], width, label=f"to {peer}")
        axes.bar_label(drawn, fmt="%.2f", fontsize=7)
    axes.axhline(1, color="black", linewidth=1)
    axes.set(title="Xylem's tokens/s, relative to peers", ylabel="ratio")
    axes.set_xticks(range(len(of.cases)), of.cases)
    axes.legend()
    _save(figure, target)


def _save(figure: Any, target: Path) -> None:
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    print(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--folder", type=Path, help="for the plots; that of the first file by default")
    arguments = parser.parse_args()
    folder = arguments.folder or arguments.files[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    read = {file: json.loads(file.read_text()) for file in arguments.files}
    for file, of in read.items():
        if of["kind"] == "peers":
            draw_bars(bars(of["rows"]), folder / f"{file.stem}.svg")
    serving = {file: of for file, of in read.items() if of["kind"] == "serving"}
    for dataset in {of["dataset"]: None for of in serving.values()}:
        same = {file.stem: of for file, of in serving.items() if of["dataset"] == dataset}
        for latency in LATENCIES:
            lines = [line(name, of, latency) for name, of in same.items()]
            draw_lines(lines, latency, dataset, folder / f"{dataset}-{latency.removesuffix('_ms')}.svg")


if __name__ == "__main__":
    main()
