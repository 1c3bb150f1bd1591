import torch
import triton
import triton.language as tl
from torch import Tensor

from xylem.kernels.interface import PackLinear
from xylem.kernels.triton.grouped import Groups, choose, multiply

BLOCK = 1024  # elements of a program


@triton.jit
def _add_up(
    out: tl.tensor,
    results: tl.tensor,
    weights: tl.tensor,
    width: tl.tensor,
    num_chosen: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """out [T, width] = sum over j of weights [T, k] * results [T, k, width], in float32.

    One piece of a row per program.
    """
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < width
    total = tl.zeros([block], tl.float32)
    for j in tl.static_range(num_chosen):
        result = tl.load(results + (row * num_chosen + j) * width + columns, mask=inside, other=0.0)
        total += tl.load(weights + row * num_chosen + j) * result.to(tl.float32)
    tl.store(out + row * width + columns, total.to(out.dtype.element_ty), mask=inside)


def pack_experts(weight: Tensor, pack: PackLinear) -> Tensor:
    """Returns the weight as it is: the grouped products read one tensor, and this backend packs no linear layer."""
    return weight


def mix_experts(x: Tensor, gate_up: Tensor, down: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
    """Two grouped products and a weighted sum; the host waits for nothing. Shapes: see interface.py."""
    assert x.is_contiguous()
    num_chosen, num_experts = experts.shape[1], len(gate_up)
    choice = choose(experts.numel(), num_experts, x.element_size())
    groups = Groups.of(experts, num_experts, choice.row_block)
    inner = multiply(x, gate_up, groups, choice, num_chosen=num_chosen, gated=True)
    results = multiply(inner, down, groups, choice, num_chosen=num_chosen, gated=False)
    out = torch.empty_like(x)
    width = x.shape[1]
    _add_up[(len(x), triton.cdiv(width, BLOCK))](
        out, results, weights.contiguous(), width, num_chosen=num_chosen, block=BLOCK
    )
    return out
