import random as chance

import pytest
import torch

from tests.kernels.triton.device.machine import DEVICE, ON_GPU, REFERENCE, TRITON, close, random
from xylem.kernels.interface import AttentionKind, BatchMetadata, DeviceBatch

PAGE_SIZE = 4
# (start, new tokens) of each row
STEPS = {
    "first token": [(0, 1)],
    "decode": [(3, 1), (200, 1), (63, 1), (64, 1)],
    "prompt": [(0, 13)],
    "mixed": [(0, 13), (40, 1), (7, 6), (3, 1), (120, 30)],
    "several blocks and splits": [(5, 131), (700, 1)],
}
# heads, head size, window, type
SHAPES = [
    ((6, 2), 24, None, torch.float32),
    ((4, 4), 16, 5, torch.float32),
    ((8, 1), 64, 100, torch.float16),
    ((2, 2), 8, 1, torch.float16),
    ((4, 2), 128, None, torch.bfloat16),
]
WIDER = [((32, 8), 128, 300, torch.bfloat16), ((8, 4), 256, None, torch.bfloat16), ((4, 2), 256, 9, torch.float32)]


def layout_of(step: list[tuple[int, int]]) -> tuple[BatchMetadata, int]:
    """Rows with shuffled pages, and the number of slots they lie in."""
    needed = [-(-(start + new) // PAGE_SIZE) for start, new in step]
    pages = chance.Random(7).sample(range(sum(needed) + 3), sum(needed))
    rows = [(start, new, [pages.pop() for _ in range(count)]) for (start, new), count in zip(step, needed, strict=True)]
    return BatchMetadata.build(rows, page_size=PAGE_SIZE, device=DEVICE), (sum(needed) + 3) * PAGE_SIZE


@pytest.mark.parametrize(("heads", "head_dim", "window", "dtype"), [*SHAPES, *(WIDER if ON_GPU else [])])
@pytest.mark.parametrize("step", STEPS)
def test_rows_of_any_kind_see_what_the_reference_sees(
    step: str, heads: tuple[int, int], head_dim: int, window: int | None, dtype: torch.dtype
) -> None:
    layout, num_slots = layout_of(STEPS[step])
    query = random(len(layout.positions), heads[0], head_dim, dtype=dtype)
    keys, values = random(2, num_slots, heads[1], head_dim, dtype=dtype, seed=1)
    given, expected = (
        each.attention(query, keys, values, layout, AttentionKind(head_dim**-0.5, window))
        for each in (TRITON, REFERENCE)
    )
    close(given, expected, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("step", ["decode", "mixed"])
def test_scores_are_capped(step: str, dtype: torch.dtype) -> None:
    layout, num_slots = layout_of(STEPS[step])
    query = 3 * random(len(layout.positions), 4, 16, dtype=dtype)
    keys, values = random(2, num_slots, 2, 16, dtype=dtype, seed=1)
    given, expected = (
        each.attention(query, keys, values, layout, AttentionKind(0.25, 9, 1.5)) for each in (TRITON, REFERENCE)
    )
    close(given, expected, dtype)


def decoding(lengths: list[int], *, max_pages: int) -> BatchMetadata:
    """Rows on the device: page i of row r is r + i x rows."""
    num_rows = len(lengths)
    pages = (
        torch.arange(num_rows * max_pages, dtype=torch.int32, device=DEVICE).view(max_pages, num_rows).T.contiguous()
    )
    columns = [torch.arange(num_rows), torch.ones(num_rows), torch.tensor(lengths)]
    rows = DeviceBatch(*(column.to(DEVICE, torch.int32) for column in columns), pages.contiguous())
    nothing = torch.empty(0, dtype=torch.int64, device=DEVICE)
    return BatchMetadata(nothing, nothing, PAGE_SIZE, decoding=rows)


@pytest.mark.parametrize("window", [None, 6])
def test_rows_on_the_device_count_as_they_are_when_the_kernels_run(window: int | None) -> None:
    """As in a graph: the same tensors, with other lengths and pages in them by the next step."""
    layout = decoding([9, 1, 130, 1], max_pages=40)
    query = random(4, 4, 16)
    keys, values = random(2, 4 * 40 * PAGE_SIZE, 2, 16, seed=1)
    rows = layout.decoding
    assert rows is not None
    for _ in range(2):
        given, expected = (
            each.attention(query, keys, values, layout, AttentionKind(0.25, window)) for each in (TRITON, REFERENCE)
        )
        close(given, expected, torch.float32)
        rows.lengths.copy_(torch.tensor([10, 1, 131, 77]))
        rows.pages.copy_(rows.pages.flip(0))


def test_the_number_of_splits_does_not_show() -> None:
    """A table of more pages than the rows fill lets a row be split further: parts that see nothing weigh nothing."""
    query = random(2, 4, 16)
    keys, values = random(2, 2 * 300 * PAGE_SIZE, 2, 16, seed=1)
    layouts = [decoding([70, 3], max_pages=max_pages) for max_pages in (20, 300)]
    given = [TRITON.attention(query, keys, values, layout, AttentionKind(0.25)) for layout in layouts]
    close(given[0], given[1], torch.float32)


def test_a_row_without_keys_gives_zeros() -> None:
    layout = decoding([0, 5], max_pages=40)
    keys, values = random(2, 2 * 40 * PAGE_SIZE, 2, 16, seed=1)
    given = TRITON.attention(random(2, 4, 16), keys, values, layout, AttentionKind(0.25))
    assert given[0].count_nonzero() == 0
    assert given[1].isfinite().all()
