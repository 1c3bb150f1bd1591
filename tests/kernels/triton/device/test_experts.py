"""Mixtures of experts as grouped products, where rows of an expert fill no block, several, or are none."""

import pytest
import torch
from torch import Tensor

from tests.kernels.triton.device.machine import DEVICE, EACH_TYPE, REFERENCE, TRITON, close, random
from xylem.kernels.interface import Ops
from xylem.kernels.triton.grouped import Groups, choose


def mixed(ops: Ops, x: Tensor, gate_up: Tensor, down: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
    packed = [ops.pack_experts(weight, ops.packing("none")) for weight in (gate_up, down)]
    return ops.mix_experts(x, *packed, experts, weights)


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize(
    ("num_tokens", "num_chosen", "num_experts", "width", "inner"),
    [(1, 2, 5, 40, 24), (6, 3, 4, 24, 72), (50, 2, 3, 136, 40), (150, 2, 2, 24, 16)],
)
def test_mixtures(
    num_tokens: int, num_chosen: int, num_experts: int, width: int, inner: int, dtype: torch.dtype
) -> None:
    x = random(num_tokens, width, dtype=dtype)
    gate_up = random(num_experts, 2 * inner, width, dtype=dtype, seed=1) * 0.1
    down = random(num_experts, width, inner, dtype=dtype, seed=2) * 0.1
    weights, experts = random(num_tokens, num_experts, seed=3).softmax(-1).topk(num_chosen)
    given = mixed(TRITON, x, gate_up, down, experts, weights)
    close(given, mixed(REFERENCE, x, gate_up, down, experts, weights), dtype)
    alone = mixed(TRITON, x[:1], gate_up, down, experts[:1], weights[:1])
    close(given[:1], alone, dtype)


def test_all_tokens_may_want_the_same_expert() -> None:
    x, gate_up, down = random(40, 16), random(4, 16, 16, seed=1), random(4, 16, 8, seed=2)
    experts, weights = torch.full((40, 1), 2, device=DEVICE), torch.ones(40, 1, device=DEVICE)
    given = mixed(TRITON, x, gate_up, down, experts, weights)
    close(given, mixed(REFERENCE, x, gate_up, down, experts, weights), torch.float32)


def test_experts_that_nobody_wants_take_no_block() -> None:
    groups = Groups.of(torch.tensor([[3, 0], [3, 1], [3, 0]], device=DEVICE), 5, row_block=2)
    assert groups.starts.tolist() == [0, 2, 3, 3, 6, 6]
    assert groups.block_starts.tolist() == [0, 1, 2, 2, 4, 4]
    assert groups.order.tolist() == [1, 5, 3, 0, 2, 4]
    assert groups.max_blocks == 6


def test_blocks_grow_with_the_rows_of_an_expert() -> None:
    rows = [choose(num_rows, 128, 2).row_block for num_rows in (8, 128 * 16, 128 * 100, 128 * 1000)]
    assert rows == [16, 16, 64, 128]
