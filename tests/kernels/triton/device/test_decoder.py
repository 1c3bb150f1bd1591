from array import array
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.kernels.triton.device.machine import DEVICE
from tests.tiny_models import build
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.step.row import StepRow
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams

GREEDY = SamplingParams(temperature=0.0)
NUM_NEW = 5
PAGE_SIZE = 4


@pytest.mark.parametrize("variant", ["qwen3", "gemma2"])
def test_tokens_of_a_model_are_those_of_transformers(tmp_path: Path, variant: str) -> None:
    """Grouped heads, with norms or capped scores; one prompt is read in two chunks while the other already decodes."""
    folder = build(variant, tmp_path)
    prompts = [[5, 9, 200, 31, 7, 8], [17, 300, 4, 90, 91, 92, 93, 94, 12]]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        told = {"do_sample": False, "max_new_tokens": NUM_NEW, "min_new_tokens": NUM_NEW, "eos_token_id": None}
        output = model.generate(ids, attention_mask=torch.ones_like(ids), **told)
        expected.append(output[0, len(prompt) :].tolist())

    runner = CpuModelRunner(
        ModelCard.load(folder), device=str(DEVICE), dtype=torch.float32, page_size=PAGE_SIZE, num_pages=16, kv_bytes=0,
        kernels="triton",
    )  # fmt: skip

    def tokens_of(rows: list[StepRow]) -> list[int]:
        in_flight = runner.launch_step(rows)
        in_flight.start_sampling()
        return in_flight.sampled_tokens()

    first, second = (array("i", pages) for pages in ([3, 9, 1], [0, 7, 2, 5]))
    tokens = [list(prompts[0]), list(prompts[1])]
    tokens[0] += tokens_of([StepRow(prompts[0], 0, first, True, GREEDY)])
    mixed = [StepRow(tokens[0][-1:], 6, first, True, GREEDY), StepRow(prompts[1][:5], 0, second, False, GREEDY)]
    tokens[0] += tokens_of(mixed)
    mixed = [StepRow(tokens[0][-1:], 7, first, True, GREEDY), StepRow(prompts[1][5:], 5, second, True, GREEDY)]
    for token, of_row in zip(tokens_of(mixed), tokens, strict=True):
        of_row.append(token)
    while len(tokens[0]) < len(prompts[0]) + NUM_NEW:
        rows = [
            StepRow(of_row[-1:], len(of_row) - 1, pages, True, GREEDY)
            for of_row, pages in zip(tokens, (first, second), strict=True)
        ]
        for token, of_row in zip(tokens_of(rows), tokens, strict=True):
            of_row.append(token)
    assert tokens[0][len(prompts[0]) :] == expected[0]
    found = tokens[1][len(prompts[1]) :]
    assert found == expected[1][: len(found)]
