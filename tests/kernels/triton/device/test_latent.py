"""Attention to latents: one key for all heads, which is its value too."""

import random as chance

import pytest
import torch

from tests.kernels.triton.device.machine import DEVICE, EACH_TYPE, REFERENCE, TRITON, close, random
from xylem.kernels.interface import AttentionKind, BatchMetadata, DeviceBatch
from xylem.kernels.triton.latent import choose

PAGE_SIZE = 4
STEPS = {"decode": [(3, 1), (300, 1), (0, 1)], "mixed": [(0, 9), (40, 1), (130, 4)]}  # (start, new tokens) of each row


def layout_of(step: list[tuple[int, int]]) -> tuple[BatchMetadata, int]:
    """Rows with shuffled pages, and the number of slots they lie in."""
    needed = [-(-(start + new) // PAGE_SIZE) for start, new in step]
    pages = chance.Random(7).sample(range(sum(needed) + 3), sum(needed))
    rows = [(start, new, [pages.pop() for _ in range(count)]) for (start, new), count in zip(step, needed, strict=True)]
    return BatchMetadata.build(rows, page_size=PAGE_SIZE, device=DEVICE), (sum(needed) + 3) * PAGE_SIZE


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize(("num_heads", "head_dim"), [(4, 32), (20, 40)])
@pytest.mark.parametrize("step", STEPS)
def test_latents(step: str, num_heads: int, head_dim: int, dtype: torch.dtype) -> None:
    layout, num_slots = layout_of(STEPS[step])
    query = random(len(layout.positions), num_heads, head_dim, dtype=dtype)
    keys = random(num_slots, 1, head_dim, dtype=dtype, seed=1)
    given = TRITON.attention(query, keys, keys, layout, AttentionKind(0.2))
    close(given, REFERENCE.attention(query, keys, keys, layout, AttentionKind(0.2)), dtype)


def test_few_keys_and_many_tokens_are_not_split() -> None:
    assert choose(4000, 128, 8192, 2).num_splits == 1
    assert choose(40, 2, 48, 4).num_splits == 1
    layout, num_slots = layout_of([(5, 40)])
    query, keys = random(40, 2, 24), random(num_slots, 1, 24, seed=1)
    given = TRITON.attention(query, keys, keys, layout, AttentionKind(0.2))
    close(given, REFERENCE.attention(query, keys, keys, layout, AttentionKind(0.2)), torch.float32)


def test_rows_on_the_device() -> None:
    layout, num_slots = layout_of(STEPS["decode"])
    pages = torch.zeros(3, 80, dtype=torch.int32)
    for row, span in zip(pages, layout.spans, strict=True):
        row[: len(span.pages)] = torch.from_numpy(span.pages)
    columns = [[span.first for span in layout.spans], [1, 1, 1], [span.num_kv for span in layout.spans]]
    rows = DeviceBatch(
        *(torch.tensor(column, dtype=torch.int32, device=DEVICE) for column in columns), pages.to(DEVICE)
    )
    there = BatchMetadata(layout.positions, layout.new_slots, PAGE_SIZE, decoding=rows)
    query, keys = random(3, 4, 24), random(num_slots, 1, 24, seed=1)
    given = TRITON.attention(query, keys, keys, there, AttentionKind(0.2))
    close(given, REFERENCE.attention(query, keys, keys, layout, AttentionKind(0.2)), torch.float32)


@pytest.mark.parametrize("dtype", EACH_TYPE)
@pytest.mark.parametrize(("num_heads", "rank", "num_rotated"), [(4, 10, 6), (70, 100, 64), (5, 32, 32)])
def test_latents_are_normed_rotated_and_written(
    num_heads: int, rank: int, num_rotated: int, dtype: torch.dtype
) -> None:
    """The queries and the latents are parts of wider tensors, as they come from their projections."""
    heads, wide = random(3, num_heads, 7 + num_rotated, dtype=dtype), random(3, 5 + rank + num_rotated, dtype=dtype)
    query, latent = heads[..., 7:], wide[:, 5:]
    norm, angles = random(rank, dtype=dtype, seed=1), random(3, num_rotated // 2, seed=2)
    slots = torch.tensor([7, 0, 11], device=DEVICE)
    found = []
    for each in (TRITON, REFERENCE):
        keys = torch.zeros(12, 1, rank + num_rotated, dtype=dtype, device=DEVICE)
        rotation = (angles.cos(), angles.sin())
        rotated = each.write_latent(query, latent, keys, slots, norm=norm, epsilon=1e-3, rotation=rotation)
        found.append((rotated, keys))
    close(found[0], found[1], dtype)
    others = [slot for slot in range(12) if slot not in slots.tolist()]
    assert found[0][1][others].count_nonzero() == 0
    none = slice(0, 0)
    given = TRITON.write_latent(
        query[none], latent[none], found[0][1], slots[none], norm=norm, epsilon=1e-3,
        rotation=(angles.cos()[none], angles.sin()[none]),
    )  # fmt: skip
    assert given.shape == (0, num_heads, num_rotated)
