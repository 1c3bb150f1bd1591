"""Greedy tokens of every architecture equal those of transformers' generate on the same weights."""

import random
from array import array
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny_models import VARIANTS, build
from xylem.kernels import registry
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.step.row import StepRow
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams

pytestmark = pytest.mark.usefixtures("one_thread")

GREEDY = SamplingParams(temperature=0.0)
NUM_NEW = 10
LENGTHS = (1, 5, 16, 33, 40)


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(request.param, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    draw = random.Random(5)
    return [[draw.randrange(3, 320) for _ in range(length)] for length in LENGTHS]


@pytest.fixture(scope="module")
def expected(folder: Path, prompts: list[list[int]]) -> list[list[int]]:
    # Others than "eager" know no cap of scores.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    answers = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NUM_NEW, min_new_tokens=NUM_NEW,
            eos_token_id=None,
        )  # fmt: skip
        answers.append(output[0, len(prompt) :].tolist())
    return answers


@pytest.fixture(scope="module")
def make_runner(folder: Path) -> Callable[..., CpuModelRunner]:
    def make(
        page_size: int = 16, kernels: str = "auto", dtype: torch.dtype = torch.float32, **more: Any
    ) -> CpuModelRunner:
        card = ModelCard.load(folder)
        return CpuModelRunner(
            card, device="cpu", dtype=dtype, page_size=page_size, num_pages=1024 // page_size, kv_bytes=0,
            kernels=kernels, **more,
        )  # fmt: skip

    return make


class Sequence:
    """One prompt on its way: reads `chunk` tokens at a time, then decodes."""

    def __init__(self, prompt: list[int], pages: "array[int]", *, num_cached: int = 0) -> None:
        self.tokens = list(prompt)
        self.num_prompt = len(prompt)
        self.length = num_cached
        self.pages = pages

    @property
    def output(self) -> list[int]:
        return self.tokens[self.num_prompt :]

    def row(self, chunk: int) -> StepRow:
        ids = self.tokens[self.length : self.length + chunk]
        return StepRow(ids, self.length, self.pages, self.length + len(ids) == len(self.tokens), GREEDY)


def drive(runner: CpuModelRunner, sequences: list[Sequence], *, chunk: int = 512) -> list[list[int]]:
    """Steps until every sequence has NUM_NEW tokens."""
    while running := [s for s in sequences if len(s.output) < NUM_NEW]:
        rows = [s.row(chunk) for s in running]
        in_flight = runner.launch_step(rows)
        in_flight.start_sampling()
        drawn = iter(in_flight.sampled_tokens())
        for sequence, row in zip(running, rows, strict=True):
            sequence.length += len(row.token_ids)
            if row.sample:
                sequence.tokens.append(next(drawn))
    return [s.output for s in sequences]


def tables(runner: CpuModelRunner, count: int) -> list["array[int]"]:
    """Page tables of 64 tokens each, their pages shuffled over the pool."""
    each = -(-64 // runner.page_size)
    pages = list(range(runner.num_pages))
    random.Random(3).shuffle(pages)
    return [array("i", pages[i * each : (i + 1) * each]) for i in range(count)]


def test_alone(make_runner: Callable[..., CpuModelRunner], prompts: list[list[int]], expected: list[list[int]]) -> None:
    runner = make_runner()
    table = tables(runner, 1)[0]
    assert [drive(runner, [Sequence(prompt, table)])[0] for prompt in prompts] == expected


@pytest.mark.parametrize(("page_size", "chunk"), [(1, 512), (4, 7), (16, 1)])
def test_in_a_batch_with_chunked_prefill(
    make_runner: Callable[..., CpuModelRunner],
    prompts: list[list[int]],
    expected: list[list[int]],
    page_size: int,
    chunk: int,
) -> None:
    runner = make_runner(page_size)
    sequences = [Sequence(p, t) for p, t in zip(prompts, tables(runner, len(prompts)), strict=True)]
    assert drive(runner, sequences, chunk=chunk) == expected


def test_reference_kernels_agree(
    make_runner: Callable[..., CpuModelRunner], prompts: list[list[int]], expected: list[list[int]]
) -> None:
    runner = make_runner(4, "reference")
    sequences = [Sequence(p, t) for p, t in zip(prompts, tables(runner, len(prompts)), strict=True)]
    assert drive(runner, sequences, chunk=11) == expected


def test_packed_weights_agree(
    make_runner: Callable[..., CpuModelRunner],
    prompts: list[list[int]],
    expected: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        import_module("xylem.kernels.cpu.linear"), "SMALL", 0
    )  # the models here are smaller than what is packed otherwise
    runner = make_runner(16)
    sequences = [Sequence(p, t) for p, t in zip(prompts, tables(runner, len(prompts)), strict=True)]
    assert drive(runner, sequences, chunk=3) == expected


def test_after_cache_hits_of_whole_and_partial_pages(
    make_runner: Callable[..., CpuModelRunner], prompts: list[list[int]], expected: list[list[int]]
) -> None:
    runner = make_runner(4)
    prompt = prompts[-1]
    first, second, third = tables(runner, 3)
    drive(runner, [Sequence(prompt, first)])
    # Eight whole pages are shared, and of the ninth three tokens are copied.
    shared = array("i", first[:8]) + second[8:]
    runner.copy_page(first[8], shared[8], 3)
    assert drive(runner, [Sequence(prompt, shared, num_cached=35)])[0] == expected[-1]
    # All but the last token cached.
    runner.copy_page(first[9], third[9], 3)
    nearly_all = array("i", first[:9]) + third[9:]
    assert drive(runner, [Sequence(prompt, nearly_all, num_cached=39)])[0] == expected[-1]


def test_logits_are_close_to_transformers(folder: Path, make_runner: Callable[..., CpuModelRunner]) -> None:
    prompt = list(range(3, 43))
    # Others than "eager" know no cap of scores.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        theirs = model(torch.tensor([prompt])).logits[0, -1]
    runner = make_runner()
    ours = runner.compute_logits([StepRow(prompt, 0, tables(runner, 1)[0], True, GREEDY)])[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


# Backends differ in the quantizations they offer: without AMX only the reference has int8.
INT8 = "auto" if "int8" in registry.load("auto", torch.device("cpu")).linears else "reference"


@pytest.mark.parametrize(
    ("dtype", "kernels", "quantization"),
    [(torch.bfloat16, "auto", "none"), (torch.float32, "reference", "int8"), (torch.bfloat16, INT8, "int8")],
)
def test_coarser_forms_are_near(
    make_runner: Callable[..., CpuModelRunner], dtype: torch.dtype, kernels: str, quantization: str
) -> None:
    prompt = list(range(3, 43))
    logits = []
    for form in ({}, {"dtype": dtype, "kernels": kernels, "quantization": quantization}):
        runner = make_runner(**form)
        logits.append(runner.compute_logits([StepRow(prompt, 0, tables(runner, 1)[0], True, GREEDY)])[0])
    similarity = torch.nn.functional.cosine_similarity(logits[0], logits[1], dim=0)
    assert 0.95 < similarity < 0.999999  # a router may choose another expert


@pytest.mark.parametrize("length", [255, 256])
def test_long_rope_is_exact_up_to_the_original_context(tmp_path: Path, length: int) -> None:
    folder = build("phi3-longrope", tmp_path)
    prompt = [3 + (i * 7919) % 300 for i in range(length)]
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        theirs = model(torch.tensor([prompt])).logits[0, -1]
    runner = CpuModelRunner(
        ModelCard.load(folder), device="cpu", dtype=torch.float32, page_size=16, num_pages=16, kv_bytes=0
    )
    ours = runner.compute_logits([StepRow(prompt, 0, array("i", range(16)), True, GREEDY)])[0]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
