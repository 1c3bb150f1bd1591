"""A model that gives NaN or infinity: who is hit ends, and the others of the batch get what they get alone."""

from array import array
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_models import build
from xylem.kernels import registry
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.model_runner.cuda.failed_rows import fail_marked, mark_failed
from xylem.services.executor.model_runner.loaded_model import HiddenStates, LoadedModel
from xylem.services.executor.step.row import StepRow
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import LogprobParams, SamplingParams

pytestmark = pytest.mark.usefixtures("one_thread")

BAD = 7  # the token whose embedding is no number
GREEDY, DRAWN = SamplingParams(temperature=0.0), SamplingParams(temperature=1.0, seed=3)


def runner_of(folder: Path, kernels: str = "auto") -> CpuModelRunner:
    return CpuModelRunner(
        ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, kv_bytes=1 << 20, kernels=kernels
    )


def broken(tmp_path: Path, name: str, number: float, *, row: int | None = None) -> Path:
    """A model folder in which a weight is no number, all of it or in one row."""
    folder = build("llama", tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors[name][... if row is None else row] = number
    save_file(tensors, file)
    return folder


def row_of(token_ids: list[int], page: int, *, sample: bool = True, sampling: SamplingParams = GREEDY) -> StepRow:
    return StepRow(token_ids, 0, array("i", [page]), sample, sampling)


def step(runner: CpuModelRunner, *rows: StepRow) -> list[int]:
    launched = runner.launch_step(rows)
    launched.start_sampling()
    return launched.sampled_tokens()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("kernels", ["reference", "cpu"])
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_only_the_request_with_the_bad_token_fails(
    tmp_path: Path, number: float, kernels: str, sampling: SamplingParams
) -> None:
    runner = runner_of(broken(tmp_path, "model.embed_tokens.weight", number, row=BAD), kernels)
    prompts = [[1, 2, 3], [4, BAD, 5, 6], [8, 9]]
    alone = [step(runner, row_of(prompt, 0, sampling=sampling)) for prompt in (prompts[0], prompts[2])]
    rows = [row_of(prompt, page, sampling=sampling) for page, prompt in enumerate(prompts)]
    tokens = step(runner, *rows)
    assert [row.failure is not None for row in rows] == [False, True, False]
    assert rows[1].failure is not None
    assert rows[1].failure.code == "model_failure"
    assert "gave no number" in str(rows[1].failure)
    assert [[tokens[0]], [tokens[2]]] == alone


def test_a_chunk_of_a_prompt_fails_before_its_pages_are_told(tmp_path: Path) -> None:
    runner = runner_of(broken(tmp_path, "model.embed_tokens.weight", float("nan"), row=BAD))
    rows = [row_of([1, BAD, 2], 0, sample=False), row_of([1, 3, 2], 1, sample=False)]
    step(runner, *rows)
    assert [row.failure is not None for row in rows] == [True, False]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_a_head_with_one_bad_row_fails_all(tmp_path: Path, number: float, sampling: SamplingParams) -> None:
    """Every request's logits hold it; hidden states are all numbers."""
    folder = broken(tmp_path, "lm_head.weight", number, row=BAD)
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"][BAD, 1:] = 0.0  # so that it is not inf - inf
    save_file(tensors, folder / "model.safetensors")
    row = row_of([1, 2, 3], 0, sampling=sampling)
    step(runner_of(folder), row)
    hidden_is_positive = row.failure is not None
    assert hidden_is_positive or number == float("inf")  # times a negative number it is minus infinity: a number here


def test_embeddings_and_log_probabilities_of_prompts_fail_too(tmp_path: Path) -> None:
    runner = runner_of(broken(tmp_path, "model.layers.1.mlp.down_proj.weight", float("nan")))
    pooled, scored = row_of([1, 2], 0, sample=False), row_of([1, 2, 3], 1)
    pooled.pooling = "mean"
    scored.logprobs, scored.targets = LogprobParams(num_top=2, prompt_from=0), [2, 3]
    step(runner, pooled, scored)
    for row in (pooled, scored):
        assert row.failure is not None
        assert row.failure.code == "model_failure"
    assert pooled.state is None


@pytest.mark.parametrize(("pooling", "expected"), [("mean", 180_000.0), ("last", 60_000.0)])
def test_half_precision_has_no_room_for_the_sum_of_a_prompt(tmp_path: Path, pooling: str, expected: float) -> None:
    model = LoadedModel(ModelCard.load(build("llama", tmp_path)), device=torch.device("cpu"), dtype=torch.float32)
    row = row_of([1, 2, 3], 0, sample=False)
    row.pooling = pooling
    model.record_prompt_outputs([row], HiddenStates(torch.full((3, 8), 60_000.0, dtype=torch.float16), [3]))
    assert row.state is not None
    assert row.state.tolist() == pytest.approx([expected] * 8, rel=1e-3)


def test_marks_of_a_device() -> None:
    logits = torch.zeros(5, 30)
    logits[1, 4], logits[2, 29], logits[3] = float("nan"), float("inf"), -float("inf")
    marked = mark_failed(logits, torch.tensor([5, 6, 7, 8, 9])).tolist()
    rows = [row_of([1], page) for page in range(5)]
    assert fail_marked(rows, marked) == [5, 0, 0, 8, 9]
    assert [row.failure is not None for row in rows] == [False, True, True, False, False]


@pytest.mark.parametrize("kernels", ["reference", "cpu"])
def test_a_grammar_that_allows_nothing_is_no_fault_of_the_model(kernels: str) -> None:
    ops = registry.load(kernels, torch.device("cpu"))
    logits = torch.full((1, 30), -float("inf"))
    assert ops.sample(logits, [GREEDY], [0]) == [0]
    assert mark_failed(logits, torch.tensor([0])).tolist() == [0]
