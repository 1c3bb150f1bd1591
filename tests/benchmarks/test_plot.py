"""What plots show; drawing itself where matplotlib is installed (the extra `bench`)."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.plot_series import Bars, Line, bars, line


def point(clients: int, rate: float, tokens_per_s: float, p50: float | None) -> dict[str, Any]:
    latency = None if p50 is None else {"p50": p50}
    return {"clients": clients, "rate": rate, "output_tokens_per_s": tokens_per_s, "ttft_ms": latency,
            "tpot_ms": latency}  # fmt: skip


SERVING = {
    "kind": "serving",
    "dataset": "random",
    "points": [point(1, 0, 10, 5), point(8, 0, 60, 9), point(64, 0, 0, None)],
}
PEERS: dict[str, Any] = {
    "kind": "peers",
    "rows": [
        {"case": "decode-1", "peer": "a", "ratio": 1.5},
        {"case": "decode-1", "peer": "b", "ratio": 0.5},
        {"case": "decode-8", "peer": "b", "ratio": 0.75},
    ],
}


def test_a_line_has_a_point_for_each_load_that_completed_something() -> None:
    assert line("x", SERVING, "ttft_ms") == Line("x", [10, 60], [5, 9], ["1", "8"])
    assert line("x", {"points": [point(0, 0.5, 7, 3)]}, "ttft_ms").loads == ["0.5/s"]


def test_bars_are_grouped_by_case_and_may_be_missing() -> None:
    assert bars(PEERS["rows"]) == Bars(["decode-1", "decode-8"], {"a": [1.5, None], "b": [0.5, 0.75]})


def test_plots_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra `bench`")
    from benchmarks import plot

    for name, of in (("ours", SERVING), ("theirs", SERVING), ("peers", PEERS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(of))
    files = [str(tmp_path / f"{name}.json") for name in ("ours", "theirs", "peers")]
    monkeypatch.setattr(sys, "argv", ["plot", *files])
    plot.main()
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {"random-ttft.svg", "random-tpot.svg", "peers.svg"}
    for name in drawn:
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
