"""The benchmark from outside, as people run it, against a whole system."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT, Served


def benchmark(served: Served, file: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bench_serving", "--url", served.url, "--model", "demonstration"]
    ended = subprocess.run(
        [*command, "--json", str(file), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    assert "output tokens/s" in ended.stdout
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def test_a_chat_of_turns_is_cached(served: Served, tmp_path: Path) -> None:
    options = ("--set", "turns=3", "system=24", "input=8", "output=8", "--sessions", "3", "--concurrency", "1,3")
    found = benchmark(served, tmp_path / "chat.json", "--dataset", "multi-turn", *options)
    assert [point["clients"] for point in found["points"]] == [1, 3]
    for point in found["points"]:
        assert (point["requests"], point["completed"], point["errors"], point["counted"]) == (9, 9, {}, "usage")
        assert 0.4 < point["cached_share"] < 1
        assert 9 <= point["output_tokens"] <= 72


def test_ids_are_exactly_as_long_as_they_say_and_arrive_at_a_rate(served: Served, tmp_path: Path) -> None:
    options = ("--set", "input=30", "output=5", "--sessions", "6", "--rate", "100", "--ignore-eos", "--api", "ids")
    [point] = benchmark(served, tmp_path / "ids.json", "--dataset", "random", *options)["points"]
    assert (point["completed"], point["prompt_tokens"], point["output_tokens"]) == (6, 180, 30)
    assert point["cached_share"] < 0.2


def test_extracted_json_and_goals(served: Served, tmp_path: Path) -> None:
    options = ("--sessions", "2", "--concurrency", "2", "--slo-ttft-ms", "0")
    [point] = benchmark(served, tmp_path / "json.json", "--dataset", "json", *options)["points"]
    assert (point["completed"], point["errors"], point["goodput"]) == (2, {}, 0)


@pytest.mark.parametrize(
    "wrong", [["--set", "lenght=3"], ["--set", "input=many"], ["--rate", "1", "--concurrency", "1"]]
)
def test_what_a_data_set_does_not_know_is_an_error(wrong: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.bench_serving", "--url", "http://127.0.0.1:1", "--model", "x"]
    ended = subprocess.run([*command, *wrong], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "error:" in ended.stderr
