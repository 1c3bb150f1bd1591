from array import array
from pathlib import Path

import torch

from tests.kernels.triton.device.machine import DEVICE
from tests.tiny_models import build
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.step.row import StepRow
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams

GREEDY = SamplingParams(temperature=0.0)


def test_a_model_with_latents_and_experts_gives_the_references_logits(tmp_path: Path) -> None:
    """A prompt in two chunks, the second one beside a row that decodes."""
    card = ModelCard.load(build("deepseek-v3", tmp_path))
    prompt, other = list(range(5, 14)), [17, 300, 4, 90]
    found = []
    for kernels in ("reference", "triton"):
        runner = CpuModelRunner(
            card, device=str(DEVICE), dtype=torch.float32, page_size=4, num_pages=8, kv_bytes=0, kernels=kernels
        )
        first, second = array("i", [6, 1, 3]), array("i", [0, 7])
        runner.compute_logits([StepRow(prompt[:5], 0, first, True, GREEDY), StepRow(other, 0, second, True, GREEDY)])
        found.append(
            runner.compute_logits([StepRow(prompt[5:], 5, first, True, GREEDY), StepRow([8], 4, second, True, GREEDY)])
        )
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)
