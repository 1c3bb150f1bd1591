"""The grouped products fit an sm_90 in every size that can be chosen."""

from pathlib import Path

import pytest
import torch

from kernels.triton.experts import mix_experts
from tests.kernels.triton.compiling import compiled

SHARED_BYTES = 227 << 10  # that a program of an sm_90 can have


@pytest.mark.parametrize(
    ("dtype", "nums_tokens"),
    [(torch.bfloat16, (16, 400, 4000)), (torch.float32, (16, 400))],
    ids=("bfloat16", "float32"),
)
def test_they_fit_an_sm_90(tmp_path: Path, dtype: torch.dtype, nums_tokens: tuple[int, ...]) -> None:
    gate_up, down = torch.empty(16, 2 * 64, 64, dtype=dtype), torch.empty(16, 64, 64, dtype=dtype)
    with compiled(tmp_path) as resources:
        for num_tokens in nums_tokens:
            experts = torch.arange(num_tokens).unsqueeze(1) % 16
            x = torch.empty(num_tokens, 64, dtype=dtype)
            mix_experts(x, gate_up, down, experts, torch.ones(num_tokens, 1))
    assert len(resources) == 2 * len(nums_tokens) + 1
    for used in resources:
        assert used.shared_bytes <= SHARED_BYTES, used
        assert used.spilled_bytes == 0, used
