"""The kernels for mixtures of experts and latent attention fit an sm_90 in every size that can be chosen."""

from pathlib import Path

import pytest
import torch

from tests.kernels.triton.compiling import Resources, compiled
from xylem.kernels.interface import BatchMetadata
from xylem.kernels.triton.experts import mix_experts
from xylem.kernels.triton.grouped import choose
from xylem.kernels.triton.latent import attend
from xylem.kernels.triton.latent_write import write_latent
from xylem.services.executor.model_runner.cuda.warm_up import warm_up_steps

SHARED_BYTES = 227 << 10  # that a program of an sm_90 can have


def fit(resources: list[Resources]) -> bool:
    return all(used.shared_bytes <= SHARED_BYTES and used.spilled_bytes == 0 for used in resources)


@pytest.mark.parametrize(
    ("dtype", "nums_tokens"), [(torch.bfloat16, (16, 400, 4000)), (torch.float32, (16, 400))], ids=str
)
def test_mixtures(tmp_path: Path, dtype: torch.dtype, nums_tokens: tuple[int, ...]) -> None:
    gate_up, down = torch.empty(16, 2 * 64, 64, dtype=dtype), torch.empty(16, 64, 64, dtype=dtype)
    with compiled(tmp_path) as resources:
        for num_tokens in nums_tokens:
            experts = torch.arange(num_tokens).unsqueeze(1) % 16
            x = torch.empty(num_tokens, 64, dtype=dtype)
            mix_experts(x, gate_up, down, experts, torch.ones(num_tokens, 1))
    assert len(resources) == 2 * len(nums_tokens) + 1
    assert fit(resources), resources


@pytest.mark.parametrize(
    ("num_heads", "num_tokens", "length"), [(128, 1, 600), (128, 600, 600), (16, 1, 600), (16, 1, 60_000)]
)
def test_latents_of_deepseek(tmp_path: Path, num_heads: int, num_tokens: int, length: int) -> None:
    pages = range(-(-length // 16))
    layout = BatchMetadata.build([(length - num_tokens, num_tokens, pages)], page_size=16, device=torch.device("cpu"))
    keys = torch.empty(64, 1, 576, dtype=torch.bfloat16)
    with compiled(tmp_path) as resources:
        attend(torch.empty(num_tokens, num_heads, 576, dtype=torch.bfloat16), keys, layout, scale=0.1)
    assert len(resources) == (1 if num_tokens == 600 else 2)
    assert fit(resources), resources


@pytest.mark.parametrize("num_heads", [128, 16])
def test_latents_of_deepseek_are_written(tmp_path: Path, num_heads: int) -> None:
    query, latent, keys, norm = (
        torch.empty(shape, dtype=torch.bfloat16) for shape in ((3, num_heads, 192), (3, 576), (64, 1, 576), (512,))
    )
    slots, angles = torch.zeros(3, dtype=torch.int64), torch.empty(3, 32)
    with compiled(tmp_path) as resources:
        write_latent(query[..., 128:], latent, keys, slots, norm=norm, epsilon=1e-6, rotation=(angles, angles))
    assert len(resources) == 1
    assert fit(resources), resources


@pytest.mark.parametrize("token_budget", [512, 2048, 8192])
@pytest.mark.parametrize(("num_experts", "num_chosen"), [(8, 2), (60, 4), (128, 8), (256, 8)])
def test_warming_up_meets_every_kernel_of_mixtures(num_experts: int, num_chosen: int, token_budget: int) -> None:
    steps = warm_up_steps(0, 16, token_budget, 32768)
    met = {choose(sum(len(row.token_ids) for row in rows) * num_chosen, num_experts, 2) for rows in steps}
    assert {choose(number * num_chosen, num_experts, 2) for number in range(1, token_budget + 1)} <= met
