"""Every kernel, in every form that the shapes of real models choose, compiles for an H200 and fits it.

The operations are called as they will be there, on tensors without memory: what is compiled is what would be launched,
down to the alignment of its pointers.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from triton import next_power_of_2

from tests.kernels.triton.compiling import Resources, compiled
from xylem.kernels import triton as backend
from xylem.kernels.interface import AttentionKind, BatchMetadata, HeadNorms, LogitsAdjustment, SamplingBatch
from xylem.kernels.triton.decode import choose

OPS = backend.OPS
NOWHERE = torch.device("meta")
PAGE_SIZE = 16
MOST_SHARED_BYTES = 227 << 10  # of a program on an sm_90
REGISTERS = 65536  # of a multiprocessor
# ptxas puts a value or two aside even where registers are free; a loop that has too few of them takes hundreds.
PUT_ASIDE_BYTES = 16

# Query heads, key-value heads and head size of Llama 3 8B, Qwen2.5 0.5B, Phi-3 mini, and of wide heads.
MODELS = {"llama-3": (32, 8, 128), "qwen2.5": (14, 2, 64), "phi-3": (32, 32, 96), "wide": (8, 4, 256)}
TYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
EACH_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[list[Resources]]:
    """What a test launches; it must fit, and keep its registers."""
    with compiled(tmp_path) as resources:
        yield resources
    assert resources
    for each in resources:
        assert each.spilled_bytes <= PUT_ASIDE_BYTES, each
        assert each.shared_bytes <= MOST_SHARED_BYTES, each
        assert each.registers * 32 * each.num_warps <= REGISTERS, each


def empty(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=NOWHERE)


def layout_of(step: list[tuple[int, int]]) -> BatchMetadata:
    """(start, new tokens) of each row."""
    rows = [(start, num_new, range(-(-(start + num_new) // PAGE_SIZE))) for start, num_new in step]
    return BatchMetadata.build(rows, page_size=PAGE_SIZE, device=NOWHERE)


@pytest.mark.parametrize("width", [896, 5120, 16384])
def test_norm_and_activation(launched: list[Resources], width: int) -> None:
    for dtype in TYPES.values():
        x, weight = empty(4, width, dtype=dtype), empty(width, dtype=dtype)
        OPS.add_rms_norm(x, x, weight, 1e-6)
        OPS.add_rms_norm(x, None, weight, 1e-6)
        OPS.add_rms_norm(x, x, weight, 1e-6, offset=1.0)
        OPS.silu_and_mul(x)
        OPS.gelu_and_mul(x)
    assert {each.kernel for each in launched} == {"_add_rms_norm", "_gate_and_mul"}


@EACH_MODEL
def test_heads(launched: list[Resources], model: tuple[int, int, int]) -> None:
    num_heads, num_kv_heads, head_dim = model
    for dtype in TYPES.values():
        keys = empty(64, num_kv_heads, head_dim, dtype=dtype)
        qkv = empty(4, (num_heads + 2 * num_kv_heads) * head_dim, dtype=dtype)
        angles = empty(4, head_dim // 2, dtype=torch.float32)
        norms = HeadNorms(empty(head_dim, dtype=dtype), empty(head_dim, dtype=dtype), 1e-6)
        for norms_of_model, rotation in ((norms, (angles, angles)), (None, (angles, angles)), (None, None)):
            OPS.rotate_and_write(qkv, keys, keys, empty(4, dtype=torch.int64), norms=norms_of_model, rotation=rotation)
    assert {each.kernel for each in launched} == {"_rotate_and_write"}


def test_a_copy_of_a_page_is_one_kernel_whatever_page_it_is(launched: list[Resources]) -> None:
    pools = empty(8, 1 << 23, 8, 128)  # no offset of 32 bits gets to the end of one of them
    for source, target, count in ((0, 16, 16), (16, 1, 1), (1 << 22, (1 << 23) - 16, 7)):
        OPS.copy_kv(pools, source, target, count)
    assert [each.kernel for each in launched] == ["_copy_kv"]


@pytest.mark.parametrize("window", [None, 4096])
@EACH_MODEL
def test_attention(launched: list[Resources], model: tuple[int, int, int], window: int | None) -> None:
    num_heads, num_kv_heads, head_dim = model
    for dtype in TYPES.values():
        before = len(launched)
        query, keys = empty(201, num_heads, head_dim, dtype=dtype), empty(64, num_kv_heads, head_dim, dtype=dtype)
        layout = layout_of([(1000, 1), (4000, 200)])
        OPS.attention(query, keys, keys, layout, AttentionKind(0.1, window))
        if window:  # as Gemma 2 has both
            OPS.attention(query, keys, keys, layout, AttentionKind(0.1, window, 50.0))
        if head_dim * dtype.itemsize <= 512:  # while one block of keys and values is used the next is on its way
            choice = choose(1, num_kv_heads, 1000, head_dim * dtype.itemsize)
            block_bytes = 2 * choice.key_block * next_power_of_2(head_dim) * dtype.itemsize
            for each in launched[before:]:
                assert each.kernel != "_decode" or each.shared_bytes >= 2 * block_bytes, each
    assert {each.kernel for each in launched} == {"_decode", "_merge", "_extend"}


def test_every_number_of_splits(launched: list[Resources]) -> None:
    splits = set()
    for num_rows, length in ((128, 1000), (1, 200), (1, 400), (1, 1000), (1, 2000), (1, 4000), (1, 130_000)):
        OPS.attention(
            empty(num_rows, 32, 128), empty(64, 8, 128), empty(64, 8, 128), layout_of([(length, 1)] * num_rows),
            AttentionKind(0.1),
        )  # fmt: skip
        splits.add(choose(num_rows, 8, length + 1, 256).num_splits)
    assert splits == {1, 2, 4, 8, 16, 32, 64}


@pytest.mark.parametrize("vocab_size", [32_000, 151_936])
def test_sampling(launched: list[Resources], vocab_size: int) -> None:
    logits = empty(4, vocab_size, dtype=torch.float32)
    whole, real = empty(4, dtype=torch.int64), empty(4, dtype=torch.float64)
    OPS.sample_on_device(logits, SamplingBatch(real, real, whole, real, whole), whole)
    adjustment = LogitsAdjustment(seen_ids=np.arange(5), forbidden_ids=np.arange(3))
    for mask in (None, empty(4, vocab_size // 32, dtype=torch.int32)):
        OPS.adjust(logits, [adjustment] * 4, mask)
    assert {each.kernel for each in launched} == {"_sample", "_adjust"}


def test_every_kernel_is_compiled_here() -> None:
    folder = Path(backend.__file__).parent
    kernels = {name for path in folder.glob("*.py") for name in re.findall(r"(\w+)\[\(", path.read_text())}
    assert kernels == {
        "_add_rms_norm", "_gate_and_mul", "_rotate_and_write", "_decode", "_merge", "_extend", "_sample", "_adjust",
        "_multiply", "_copy_kv", "_add_up", "_attend", "_write_latent",  # test_compiled_moe.py
    }  # fmt: skip
