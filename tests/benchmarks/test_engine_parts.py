"""What the engine's benchmarks share with the engine: operations that are timed, and texts that are read."""

import pytest
import torch

from benchmarks.eval_quantization import Text, perplexity, read
from benchmarks.in_process import plan_of, start
from benchmarks.timed_ops import TimedOps
from xylem.kernels import registry
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.shared.model_info.model_card import ModelCard, locate


def test_each_part_of_a_step_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", dict(registry.BACKENDS))
    timed = TimedOps("cpu")
    engine = start("demonstration", dtype="float32", kernels=timed.name)
    timed.spent_s.clear()
    engine.apply(plan_of([[300, 301, 302]], 2, engine, 0))
    while engine.has_work():
        engine.step()
    assert set(timed.spent_s) == {"linear", "attention", "pointwise", "sampling"}
    assert all(spent_s > 0 for spent_s in timed.spent_s.values())


def test_the_perplexity_of_a_text_is_that_of_its_own_tokens() -> None:
    card = ModelCard.load(locate("demonstration"))
    runner = CpuModelRunner(card, device="cpu", dtype=torch.float32, page_size=16, num_pages=8, kv_bytes=0)
    tokens = list(range(300, 320))
    found = read([Text(tokens, [place % 2 == 0 for place in range(19)])], runner)
    assert len(found.log_probs) == len(found.likeliest) == 10
    assert perplexity(found.log_probs) > 1
