"""The runner of a GPU with these kernels: on a GPU with its graphs, and without one with every step done anew."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from services.executor.cuda.device import CudaDevice, Device, Replay
from services.executor.cuda.runner import CudaRunner
from services.executor.model import Model
from shared.messages import Sampling
from shared.model_card import ModelCard
from tests.kernels.triton.device.machine import DEVICE
from tests.services.executor.cuda.recorded import RecordingDevice
from tests.services.executor.model_runs import engine_of, run
from tests.tiny_models import build

NUM_NEW = 5


class RepeatingDevice(RecordingDevice):
    """Launches of Triton's interpreter are no operations of torch, so that they can't be recorded."""

    def capture(self, work: Callable[[], None]) -> Replay:
        return work


def test_tokens_of_a_model_are_those_of_transformers(tmp_path: Path) -> None:
    folder = build("qwen3", tmp_path)
    prompts = [[5, 9, 200, 31, 7, 88], [17, 3, 250, 99, 4, 61, 301], [42]]
    peer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        told = {"do_sample": False, "max_new_tokens": NUM_NEW, "min_new_tokens": NUM_NEW, "eos_token_id": None}
        output = peer.generate(ids, attention_mask=torch.ones_like(ids), **told)
        expected.append(output[0, len(prompt) :].tolist())
    device: Device = CudaDevice("cuda") if DEVICE.type == "cuda" else RepeatingDevice()
    runner = CudaRunner(
        Model(ModelCard.load(folder), device=DEVICE, dtype=torch.float32, kernels="triton"),
        device,
        page_size=4,
        max_running=4,  # graphs for 1, 2 and 4: without a GPU each of them is a pass of interpreted kernels
        token_budget=8,
        context_length=32,
        num_pages=24,
    )
    requests = [{"prompt": prompt, "max_new_tokens": NUM_NEW} for prompt in prompts]
    bent = {**requests[0], "sampling": Sampling(temperature=0.0, presence_penalty=9.0)}
    ran = run(engine_of(runner, token_budget=5), *requests, bent)
    assert [each.token_ids for each in ran[:3]] == expected
    assert len(set(ran[3].token_ids)) == NUM_NEW
