"""Every backend against the plain torch reference, over a grid of shapes."""

import random
import sys
from importlib import import_module

import pytest
import torch

import xylem.kernels
from tests.kernels.backends import BACKENDS, CPU, REFERENCE
from xylem.kernels import registry
from xylem.kernels.interface import AttentionKind, BatchMetadata, HeadNorms, Ops
from xylem.kernels.reference.heads import rotate

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


@pytest.fixture(params=[name for name in BACKENDS if name != "reference"])
def backend(request: pytest.FixtureRequest) -> Ops:
    return BACKENDS[request.param]


def layout_of(step: list[tuple[int, int]]) -> tuple[BatchMetadata, int]:
    """Rows with shuffled pages, and the number of slots they lie in."""
    draw = random.Random(7)
    needed = [-(-(start + new) // PAGE_SIZE) for start, new in step]
    pages = list(range(sum(needed) + 3))
    draw.shuffle(pages)
    rows = []
    for (start, new), count in zip(step, needed, strict=True):
        rows.append((start, new, [pages.pop() for _ in range(count)]))
    return BatchMetadata.build(rows, page_size=PAGE_SIZE, device=CPU), (sum(needed) + 3) * PAGE_SIZE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 1, 5, 100])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (8, 1)])
@pytest.mark.parametrize("step", STEPS)
def test_attention(backend: Ops, step: str, heads: tuple[int, int], window: int | None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layout, num_slots = layout_of(STEPS[step])
    num_new = len(layout.positions)
    query = torch.randn(num_new, heads[0], 16, dtype=dtype)
    keys, values = (torch.randn(num_slots, heads[1], 16, dtype=dtype) for _ in range(2))
    arguments = (query, keys, values, layout)
    expected = REFERENCE.attention(*arguments, AttentionKind(0.25, window))
    given = backend.attention(*arguments, AttentionKind(0.25, window))
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("left", [float("nan"), float("inf")])
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("step", STEPS)
def test_attention_takes_nothing_from_slots_that_a_failed_request_has_left(
    step: str, window: int | None, left: float
) -> None:
    """Also in the pages of a row, behind its last token: zero times NaN would be NaN."""
    for backend in BACKENDS.values():
        torch.manual_seed(0)
        layout, num_slots = layout_of(STEPS[step])
        free = sorted(set(range(num_slots)) - {int(slot) for span in layout.spans for slot in layout.slots(span)})
        assert free
        query = torch.randn(len(layout.positions), 6, 16)
        keys, values = (torch.randn(num_slots, 2, 16) for _ in range(2))
        expected = backend.attention(query, keys, values, layout, AttentionKind(0.25, window))
        keys[free] = values[free] = left
        assert torch.equal(backend.attention(query, keys, values, layout, AttentionKind(0.25, window)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("step", ["decode, mixed lengths", "mixed"])
def test_capped_attention(backend: Ops, step: str, window: int | None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layout, num_slots = layout_of(STEPS[step])
    query = 3 * torch.randn(len(layout.positions), 6, 16, dtype=dtype)
    keys, values = (torch.randn(num_slots, 2, 16, dtype=dtype) for _ in range(2))
    given, expected, uncapped = (
        each.attention(query, keys, values, layout, AttentionKind(0.25, window, cap))
        for each, cap in ((backend, 1.5), (REFERENCE, 1.5), (REFERENCE, None))
    )
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)
    assert not torch.allclose(expected, uncapped, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [32, 100])
@pytest.mark.parametrize("num_tokens", [1, 7])
def test_pointwise_operations(backend: Ops, num_tokens: int, width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tolerance = 1e-4 if dtype is torch.float32 else 0.1
    x, delta = torch.randn(2, num_tokens, width, dtype=dtype)
    weight = torch.randn(width, dtype=dtype)
    sums = [x.clone(), x.clone()]
    pairs = [
        (backend.add_rms_norm(x, None, weight, 1e-6), REFERENCE.add_rms_norm(x, None, weight, 1e-6)),
        tuple(each.add_rms_norm(sums[i], delta, weight, 1e-6) for i, each in enumerate((backend, REFERENCE))),
        tuple(sums),
        tuple(each.add_rms_norm(x, None, weight, 1e-6, offset=1.0) for each in (backend, REFERENCE)),
        (backend.silu_and_mul(x), REFERENCE.silu_and_mul(x)),
        (backend.gelu_and_mul(x), REFERENCE.gelu_and_mul(x)),
    ]
    for given, expected in pairs:
        torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("rotated_dims", [0, 12, 16])
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (8, 1)])
def test_queries_and_keys_are_normed_and_rotated_and_kv_is_written(
    backend: Ops, heads: tuple[int, int], rotated_dims: int, dtype: torch.dtype, *, normed: bool
) -> None:
    torch.manual_seed(0)
    qkv = torch.randn(3, (heads[0] + 2 * heads[1]) * 16, dtype=dtype)
    norms = HeadNorms(*torch.randn(2, 16, dtype=dtype), 1e-6) if normed else None
    angles = torch.randn(3, rotated_dims // 2)
    rotation = (angles.cos(), angles.sin()) if rotated_dims else None
    slots = torch.tensor([7, 0, 11])
    given: list[torch.Tensor] = []
    expected: list[torch.Tensor] = []
    for each, found in ((backend, given), (REFERENCE, expected)):
        keys, values = torch.zeros(2, 12, heads[1], 16, dtype=dtype)
        found += [each.rotate_and_write(qkv.clone(), keys, values, slots, norms=norms, rotation=rotation), keys, values]
    tolerance = 1e-5 if dtype is torch.float32 else 0.1
    torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)
    value = qkv.unflatten(-1, (-1, 16))[:, heads[0] + heads[1] :]
    assert torch.equal(given[2][slots], value)
    assert given[2].count_nonzero() == value.count_nonzero()
    others = [slot for slot in range(12) if slot not in slots]
    assert given[1][others].count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(5, 32), (1024, 512), (777, 1031), (33, 2100)])
@pytest.mark.parametrize("biased", [False, True])
def test_linear(backend: Ops, shape: tuple[int, int], dtype: torch.dtype, *, biased: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=dtype) * 0.05
    bias = torch.randn(shape[0], dtype=dtype) if biased else None
    linear, reference = backend.packing("none")(weight.clone(), bias), REFERENCE.packing("none")(weight, bias)
    tolerance = 1e-4 if dtype is torch.float32 else 3e-2
    for num_tokens in (0, 1, 2, 33, 130):  # 0: a step of prompt chunks alone wants no logits
        x = torch.randn(num_tokens, shape[1], dtype=dtype)
        torch.testing.assert_close(linear(x), reference(x), atol=tolerance, rtol=tolerance)
        in_float = linear(x, torch.float32)
        assert in_float.dtype is torch.float32
        torch.testing.assert_close(in_float, reference(x, torch.float32), atol=tolerance, rtol=tolerance)


def test_the_cpu_packs_what_is_large() -> None:
    cpu = import_module("xylem.kernels.cpu.linear")
    large = torch.zeros(cpu.SMALL // 512, 512)
    assert cpu.linear(large, None).weight.is_mkldnn
    assert not cpu.linear(large[:-1], None).weight.is_mkldnn
    assert not cpu.linear(large.double(), None).weight.is_mkldnn


def test_kv_is_copied(backend: Ops) -> None:
    pools = torch.randn(3, 12, 2, 4)
    expected = pools.clone()
    expected[:, 4:6] = pools[:, 7:9]
    backend.copy_kv(pools, 7, 4, 2)
    assert torch.equal(pools, expected)


def test_one_layout_serves_layers_of_different_windows_and_types(backend: Ops) -> None:
    """What is prepared for one kind of layer must not leak into another."""
    torch.manual_seed(0)
    layout, num_slots = layout_of(STEPS["mixed"])
    for window in (None, 5, None, 100, 5):
        for dtype in (torch.float32, torch.bfloat16):
            query = torch.randn(len(layout.positions), 4, 16, dtype=dtype)
            keys, values = (torch.randn(num_slots, 2, 16, dtype=dtype) for _ in range(2))
            expected = REFERENCE.attention(query, keys, values, layout, AttentionKind(0.25, window))
            given = backend.attention(query, keys, values, layout, AttentionKind(0.25, window))
            tolerance = 1e-5 if dtype is torch.float32 else 3e-2
            torch.testing.assert_close(given, expected, atol=tolerance, rtol=tolerance)


def test_rotation_keeps_lengths_and_leaves_the_rest_alone() -> None:
    x = torch.randn(5, 2, 10)
    angles = torch.randn(5, 3)
    rotated = rotate(x, angles.cos(), angles.sin())
    assert torch.equal(rotated[..., 6:], x[..., 6:])
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotate(x, torch.ones(5, 3), torch.zeros(5, 3)), x)


def test_layout_of_rows() -> None:
    layout = BatchMetadata.build([(3, 2, [5, 0]), (0, 1, [2])], page_size=4, device=CPU)
    assert layout.positions.tolist() == [3, 4, 0]
    assert layout.new_slots.tolist() == [23, 0, 8]
    assert [layout.slots(span).tolist() for span in layout.spans] == [[20, 21, 22, 23, 0], [8]]


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(
        registry.NoSuchBackend, match=r"'gpu'; there are: auto, reference, cpu, native, triton, flashinfer"
    ):
        registry.load("gpu", CPU)


@pytest.mark.parametrize("package", ["triton", "flashinfer"])
def test_a_backend_names_the_package_that_it_lacks(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(f"xylem.kernels.{package}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(xylem.kernels, package, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(registry.BackendUnavailable, match=f"the package {package} is not installed"):
        registry.load(package, CPU)


def test_auto_takes_the_backend_of_the_device() -> None:
    assert registry.load("auto", CPU).name in ("native", "cpu")
    assert registry.load("auto", torch.device("meta")).name == "reference"
