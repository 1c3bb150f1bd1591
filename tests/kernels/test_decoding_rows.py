"""Rows in device memory are attended to as those of spans, whatever lies where nobody reads."""

import pytest
import torch

from tests.kernels.backends import CPU, EACH_BACKEND, REFERENCE
from xylem.kernels.interface import AttentionKind, BatchMetadata, DeviceBatch, Ops

PAGE_SIZE = 4
NUM_PAGES = 20
LENGTHS = [1, 4, 5, 13]
TABLES = [[3], [0], [7, 2], [11, 5, 9, 1]]
NOBODYS = 19


@EACH_BACKEND
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("window", [None, 1, 6])
def test_attention(backend: Ops, window: int | None, cap: float | None) -> None:
    torch.manual_seed(1)
    spans = BatchMetadata.build(
        [(length - 1, 1, table) for length, table in zip(LENGTHS, TABLES, strict=True)],
        page_size=PAGE_SIZE,
        device=CPU,
    )
    pages = torch.full((len(TABLES) + 1, 6), NOBODYS, dtype=torch.int32)
    for row, table in enumerate(TABLES):
        pages[row, : len(table)] = torch.tensor(table)
    rows = DeviceBatch(
        firsts=torch.arange(5, dtype=torch.int32),
        nums_new=torch.ones(5, dtype=torch.int32),
        lengths=torch.tensor([*LENGTHS, 1], dtype=torch.int32),  # the last row pads the batch
        pages=pages,
    )
    decoding = BatchMetadata(spans.positions, spans.new_slots, PAGE_SIZE, decoding=rows)
    query = torch.randn(5, 6, 16)
    keys, values = torch.randn(2, NUM_PAGES * PAGE_SIZE, 2, 16)
    expected = REFERENCE.attention(query[:4], keys, values, spans, AttentionKind(0.3, window, cap))
    written = {int(slot) for span in spans.spans for slot in spans.slots(span)} | {NOBODYS * PAGE_SIZE}
    for slot in set(range(NUM_PAGES * PAGE_SIZE)) - written:
        keys[slot] = values[slot] = float("nan")
    given = backend.attention(query, keys, values, decoding, AttentionKind(0.3, window, cap))
    torch.testing.assert_close(given[:4], expected)
    assert given.isfinite().all()
