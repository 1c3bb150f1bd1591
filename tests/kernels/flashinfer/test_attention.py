"""What FlashInfer is told makes it compute what the reference does; one plan for all layers of a kind in a step."""

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import torch

import xylem.kernels
from tests.kernels.backends import CPU, REFERENCE
from tests.kernels.flashinfer.recording import Decode, Prefill, Wrapper
from tests.kernels.test_kernels import STEPS, layout_of
from xylem.kernels import registry
from xylem.kernels.attention_kind import AttentionKind


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Wrapper]]:
    """A module `flashinfer` that computes on this machine; gives the wrappers that were made, in order."""
    wrappers: list[Wrapper] = []

    def making(kind: type[Wrapper]) -> Any:
        def make(*args: Any, **more: Any) -> Wrapper:
            wrappers.append(kind(*args, **more))
            return wrappers[-1]

        return make

    module: Any = ModuleType("flashinfer")
    module.BatchDecodeWithPagedKVCacheWrapper = making(Decode)
    module.BatchPrefillWithPagedKVCacheWrapper = making(Prefill)
    monkeypatch.setitem(sys.modules, "flashinfer", module)
    monkeypatch.setattr(import_module("xylem.kernels.flashinfer.plans"), "WORKSPACE_BYTES", 1024)
    yield wrappers
    for name in [name for name in sys.modules if name.startswith("xylem.kernels.flashinfer")]:
        del sys.modules[name]
    del xylem.kernels.flashinfer


def attention() -> Any:
    return import_module("xylem.kernels.flashinfer.attention").attention


@pytest.mark.parametrize("window", [None, 1, 5])
@pytest.mark.parametrize("heads", [(4, 4), (8, 2)])
@pytest.mark.parametrize("step", STEPS)
def test_plans_mean_what_the_reference_does(
    made: list[Wrapper], step: str, heads: tuple[int, int], window: int | None
) -> None:
    torch.manual_seed(0)
    layout, num_slots = layout_of(STEPS[step])
    query = torch.randn(len(layout.positions), heads[0], 64, dtype=torch.float16)
    keys, values = torch.randn(2, num_slots, heads[1], 64, dtype=torch.float16)
    for _ in range(3):  # layers
        given = attention()(query, keys, values, layout, AttentionKind(0.125, window))
        expected = REFERENCE.attention(query, keys, values, layout, AttentionKind(0.125, window))
        torch.testing.assert_close(given, expected, atol=4e-3, rtol=4e-3)
    [wrapper] = made
    assert len(wrapper.plans) == 1
    assert isinstance(wrapper, Decode if all(new == 1 for _, new in STEPS[step]) else Prefill)
    assert wrapper.use_tensor_cores == (heads == (8, 2) and isinstance(wrapper, Decode))


def test_layers_of_different_windows_have_plans_of_their_own_and_the_next_step_new_ones(made: list[Wrapper]) -> None:
    query = torch.randn(1, 4, 64, dtype=torch.float16)
    for _ in range(2):
        layout, num_slots = layout_of(STEPS["one decode"])
        keys, values = torch.randn(2, num_slots, 2, 64, dtype=torch.float16)
        for window in (None, 3, None, 3):
            given = attention()(query, keys, values, layout, AttentionKind(0.125, window))
            expected = REFERENCE.attention(query, keys, values, layout, AttentionKind(0.125, window))
            torch.testing.assert_close(given, expected, atol=4e-3, rtol=4e-3)
    assert [len(wrapper.plans) for wrapper in made] == [2, 2]
    assert made[0].float_workspace_buffer is made[1].float_workspace_buffer


@pytest.mark.parametrize(("head_dim", "dtype"), [(96, torch.float16), (64, torch.float32)])
def test_what_it_has_no_kernels_for_is_tritons(
    made: list[Wrapper], monkeypatch: pytest.MonkeyPatch, head_dim: int, dtype: torch.dtype
) -> None:
    layout, num_slots = layout_of(STEPS["one decode"])
    query, keys = torch.randn(1, 4, head_dim, dtype=dtype), torch.randn(num_slots, 2, head_dim, dtype=dtype)
    monkeypatch.setattr(import_module("xylem.kernels.flashinfer.attention"), "other_attention", REFERENCE.attention)
    given = attention()(query, keys, keys, layout, AttentionKind(0.125))
    assert torch.equal(given, REFERENCE.attention(query, keys, keys, layout, AttentionKind(0.125)))
    assert made == []


def test_without_a_gpu_it_is_not_to_be_had(made: list[Wrapper]) -> None:
    with pytest.raises(registry.BackendUnavailable, match="need a GPU"):
        registry.load("flashinfer", CPU)
