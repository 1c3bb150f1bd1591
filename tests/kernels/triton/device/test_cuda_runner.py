"""The runner of a GPU with these kernels: on a GPU with its graphs, and without one with every step done anew."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tests.kernels.triton.device.machine import DEVICE
from tests.services.executor.model_runner.cuda.recorded import RecordingDevice
from tests.services.executor.model_runs import engine_of, run, runner_of
from tests.tiny_models import build
from xylem.services.executor.model_runner.cuda.device import CudaDevice, Device, Replay
from xylem.services.executor.model_runner.cuda.runner import CudaModelRunner
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams

NUM_NEW = 5


class RepeatingDevice(RecordingDevice):
    """Launches of Triton's interpreter are no operations of torch, so that they can't be recorded."""

    def capture(self, work: Callable[[], None]) -> Replay:
        return work


def test_tokens_of_a_model_are_those_of_transformers_or_of_the_reference(tmp_path: Path) -> None:
    """Greedy ones, and drawn ones, each row in its own way."""
    folder = build("qwen3", tmp_path)
    prompts = [[5, 9, 200, 31, 7, 88], [17, 3, 250, 99, 4, 61, 301]]
    peer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([prompts[0]])
    told = {"do_sample": False, "max_new_tokens": NUM_NEW, "min_new_tokens": NUM_NEW, "eos_token_id": None}
    expected = peer.generate(ids, attention_mask=torch.ones_like(ids), **told)[0, len(prompts[0]) :].tolist()
    device: Device = CudaDevice("cuda") if DEVICE.type == "cuda" else RepeatingDevice()
    runner = CudaModelRunner(
        LoadedModel(ModelCard.load(folder), device=DEVICE, dtype=torch.float32, kernels="triton"),
        device,
        page_size=4,
        max_running=4,  # graphs for 1, 2 and 4: without a GPU each of them is a pass of interpreted kernels
        token_budget=8,
        context_length=32,
        num_pages=24,
    )
    ways = [
        SamplingParams(temperature=0.0),
        SamplingParams(temperature=0.9, top_p=0.8, seed=7),
        SamplingParams(temperature=1.5, top_k=40, min_p=0.01, seed=(1 << 62) + 5),
        SamplingParams(temperature=0.0, presence_penalty=9.0),
    ]
    requests = [
        {"prompt": prompts[i % 2], "max_new_tokens": NUM_NEW, "sampling": sampling} for i, sampling in enumerate(ways)
    ]
    ran = run(engine_of(runner, token_budget=5), *requests)
    reference = run(engine_of(runner_of("cpu", folder, page_size=4, num_pages=24), token_budget=5), *requests)
    assert ran[0].token_ids == expected
    assert [each.token_ids for each in ran] == [each.token_ids for each in reference]
    assert len({tuple(each.token_ids) for each in ran}) == 4
