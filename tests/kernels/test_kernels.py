"""Every backend against the plain torch reference, over a grid of shapes."""

import random

import pytest
import torch

from kernels import ops
from kernels.layout import Layout

CPU = torch.device("cpu")
REFERENCE = ops.load("reference", CPU)
PAGE_SIZE = 4
# (start, new tokens) of each row
STEPS = {
    "one decode": [(9, 1)],
    "first token": [(0, 1)],
    "decode, mixed lengths": [(3, 1), (200, 1), (70, 1), (66, 1), (0, 1), (199, 1)],
    "prompt": [(0, 13)],
    "chunk": [(8, 5)],
    "mixed": [(0, 13), (40, 1), (7, 6), (3, 1), (120, 30)],
}


@pytest.fixture(params=[name for name in ops.BACKENDS if name != "reference"])
def backend(request: pytest.FixtureRequest) -> ops.Ops:
    return ops.load(request.param, CPU)


def layout_of(step: list[tuple[int, int]]) -> tuple[Layout, int]:
    """Rows with shuffled pages, and the number of slots they lie in."""
    draw = random.Random(7)
    needed = [-(-(start + new) // PAGE_SIZE) for start, new in step]
    pages = list(range(sum(needed) + 3))
    draw.shuffle(pages)
    rows = []
    for (start, new), count in zip(step, needed, strict=True):
        rows.append((start, new, [pages.pop() for _ in range(count)]))
    return Layout.build(rows, page_size=PAGE_SIZE, device=CPU), (sum(needed) + 3) * PAGE_SIZE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 1, 5, 100])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (8, 1)])
@pytest.mark.parametrize("step", STEPS)
def test_attention(backend: ops.Ops, step: str, heads: tuple[int, int], window: int | None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layout, num_slots = layout_of(STEPS[step])
    num_new = len(layout.positions)
    query = torch.randn(num_new, heads[0], 16, dtype=dtype)
    keys, values = (torch.randn(num_slots, heads[1], 16, dtype=dtype) for _ in range(2))
    arguments = (query, keys, values, layout)
    expected = REFERENCE.attention(*arguments, scale=0.25, window=window)
    given = backend.attention(*arguments, scale=0.25, window=window)
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pointwise_operations(backend: ops.Ops, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    x = torch.randn(7, 32, dtype=dtype)
    weight = torch.randn(32, dtype=dtype)
    heads = torch.randn(7, 3, 16, dtype=dtype)
    angles = torch.randn(7, 6)
    pairs = [
        (backend.rms_norm(x, weight, 1e-6), REFERENCE.rms_norm(x, weight, 1e-6)),
        (backend.silu_and_mul(x), REFERENCE.silu_and_mul(x)),
        (backend.rotate(heads, angles.cos(), angles.sin()), REFERENCE.rotate(heads, angles.cos(), angles.sin())),
        (backend.linear(x, torch.ones(5, 32, dtype=dtype), None), x.sum(-1, keepdim=True).expand(7, 5)),
    ]
    for given, expected in pairs:
        torch.testing.assert_close(given, expected, atol=tolerance * 10, rtol=tolerance * 10)


def test_rotation_keeps_lengths_and_leaves_the_rest_alone() -> None:
    x = torch.randn(5, 2, 10)
    angles = torch.randn(5, 3)
    rotated = REFERENCE.rotate(x, angles.cos(), angles.sin())
    assert torch.equal(rotated[..., 6:], x[..., 6:])
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(REFERENCE.rotate(x, torch.ones(5, 3), torch.zeros(5, 3)), x)


def test_layout_of_rows() -> None:
    layout = Layout.build([(3, 2, [5, 0]), (0, 1, [2])], page_size=4, device=CPU)
    assert layout.positions.tolist() == [3, 4, 0]
    assert layout.new_slots.tolist() == [23, 0, 8]
    assert [span.slots.tolist() for span in layout.spans] == [[20, 21, 22, 23, 0], [8]]


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ops.NoSuchBackend, match=r"'gpu'; there are: auto, reference, cpu"):
        ops.load("gpu", CPU)


def test_auto_takes_the_backend_of_the_device() -> None:
    assert ops.load("auto", CPU).name == "cpu"
    assert ops.load("auto", torch.device("meta")).name == "reference"
