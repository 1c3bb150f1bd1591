"""What peers are told and answer, and how rounds become ratios."""

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_peers, rivals
from benchmarks.children import NotStarted, talking
from benchmarks.comparison import Comparison, compared, merged
from benchmarks.environments import NotInstalled
from benchmarks.in_process import InProcess
from benchmarks.peers.protocol import answer_orders
from benchmarks.rivals import Rival
from tests.fake_runner import FakeRunner
from xylem.services.executor.engine.engine import Engine


def test_the_engine_answers_orders_one_after_another() -> None:
    engine = Engine(FakeRunner(num_pages=64), max_running=16, token_budget=8, eos_token_ids=(), epoch=1)
    orders = [{"prompts": [[5, 6, 7], [8, 9, 10]], "num_output": 4}, {"prompts": [[1] * 30], "num_output": 1}]
    answers: list[str] = []
    answer_orders(InProcess(engine), map(json.dumps, orders), answers.append)
    ready, first, second = answers
    assert ready == "ready"
    assert [count for _, count in json.loads(first)["steps"]] == [2, 2, 2, 2]
    steps = json.loads(second)["steps"]
    assert [count for _, count in steps] == [0, 0, 0, 1]  # a prompt of 30 at 8 tokens a step
    assert sorted(steps) == steps


def test_a_child_that_ends_is_not_started() -> None:
    with pytest.raises(NotStarted, match="no such model"), talking([sys.executable, "-c", "exit('no such model')"], {}):
        pass


def test_a_child_answers_lines_with_lines() -> None:
    program = "print('ready', flush=True)\nfor line in __import__('sys').stdin: print(line, end='', flush=True)"
    with talking([sys.executable, "-c", program], {}) as child:
        assert child.ask({"steps": [[0.5, 1]]}) == {"steps": [[0.5, 1]]}


def test_every_peer_tells_about_itself_without_being_installed() -> None:
    assert {"openvino", "openvino-int8", "llama_cpp-q8_0", "llama_server", "transformers"} <= set(rivals.names())
    assert "openvino-bf16" not in rivals.names()


def test_a_peer_that_does_not_install_is_left_out_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(*_: Any) -> Path:
        raise NotInstalled("no matching distribution")

    monkeypatch.setattr(rivals, "python_with", failing)
    comparison = Comparison(rounds=1)
    assert bench_peers.ready(argparse.Namespace(peers=["openvino"], folder=tmp_path), comparison, tmp_path) == []
    assert comparison.left_out == {"openvino": "no matching distribution"}


def test_a_ratio_is_of_the_same_round() -> None:
    [result] = compared("decode-1", {"xylem": [10, 20, 30], "other": [10, 10, 60]})
    assert result.ratios == [1, 2, 0.5]
    assert (result.ratio, result.xylem_rate, result.peer_rate) == (1, 20, 10)


class Case:
    """Rates by side and round; an error is raised."""

    name = "decode-1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def warm_up(self, side: str) -> None:
        self.asked.append((side, -1))

    def rate(self, side: str, *, seed: int) -> float:
        self.asked.append((side, seed))
        if side == "weak" and seed == 1:
            raise NotStarted("ended while it was asked")
        return 10.0 if side == "xylem" else 5.0


def test_sides_take_turns_and_one_that_fails_is_out() -> None:
    case, comparison = Case(), Comparison(rounds=3)
    others = [Rival(name, None, (), ("", "", "")) for name in ("strong", "weak")]  # type: ignore[arg-type]
    comparison.play([case], nullcontext("xylem"), others, lambda rival: nullcontext(rival.name))  # type: ignore[list-item]
    assert [(result.peer, result.ratios) for result in comparison.results] == [("strong", [2, 2, 2])]
    assert comparison.left_out == {"weak": "ended while it was asked"}
    sides = ("xylem", "strong", "weak")
    assert case.asked == [(side, seed) for seed in (-1, 0, 1, 2) for side in sides if (side, seed) != ("weak", 2)]


def test_new_results_take_the_place_of_old_ones_of_the_same_case_and_peer(tmp_path: Path) -> None:
    old = [{"case": "prefill-512", "peer": "a", "ratio": 1}, {"case": "decode-1", "peer": "a", "ratio": 2}]
    file = tmp_path / "peers.json"
    assert merged(file, old) == [old[1], old[0]]
    file.write_text(json.dumps({"rows": old}))
    new = {"case": "prefill-512", "peer": "a", "ratio": 3}
    assert merged(file, [new, {**new, "peer": "b"}]) == [old[1], new, {**new, "peer": "b"}]
