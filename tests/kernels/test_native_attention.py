"""Attention in C: to the precision of its types, and the same bits however tokens come together in steps."""

import math
import random

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import BACKENDS, CPU, NEEDS_NATIVE, REFERENCE
from xylem.kernels.interface import AttentionKind, BatchMetadata, Ops

pytestmark = NEEDS_NATIVE

BF16 = 2.0**-8  # relative distance of neighbours
EACH_TYPE = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
LONG = [(511, 1), (1040, 1), (0, 1), (255, 1), (256, 1)]  # around the borders of splits of 256 keys
STEPS = {
    "long decodes": LONG,
    "a chunk that is no multiple of anything": [(300, 77), (700, 1)],
    "two blocks of queries": [(0, 261)],
    "few new tokens of a long row": [(1000, 3), (600, 2)],
}


class Pool:
    """Sequences with KV in shuffled pages, and queries for every position of each."""

    def __init__(
        self, lengths: list[int], heads: tuple[int, int], dim: int, dtype: torch.dtype, *, page_size: int = 16
    ) -> None:
        draw = torch.Generator().manual_seed(1)
        tables = [-(-length // page_size) for length in lengths]
        pages = random.Random(2).sample(range(sum(tables)), sum(tables))
        self.page_size = page_size
        self.tables = [[pages.pop() for _ in range(count)] for count in tables]
        slots = sum(tables) * page_size
        self.keys, self.values = torch.randn(2, slots, heads[1], dim, generator=draw).to(dtype)
        self.queries = [torch.randn(length, heads[0], dim, generator=draw).to(dtype) for length in lengths]

    def attend(self, backend: Ops, rows: list[tuple[int, int, int]], window: int | None = None) -> list[Tensor]:
        """Of each (sequence, start, new tokens): [new, H, D]."""
        layout = BatchMetadata.build(
            [(start, new, self.tables[i]) for i, start, new in rows], page_size=self.page_size, device=CPU
        )
        query = torch.cat([self.queries[i][start : start + new] for i, start, new in rows])
        scale = 1 / math.sqrt(query.shape[-1])
        found = backend.attention(query, self.keys, self.values, layout, AttentionKind(scale, window))
        return list(found.split([new for _, _, new in rows]))


def rows_of(step: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    return [(i, start, new) for i, (start, new) in enumerate(step)]


@EACH_TYPE
@pytest.mark.parametrize(
    ("heads", "dim", "window"),
    [
        ((14, 2), 64, None),
        ((6, 2), 64, 300),
        ((2, 2), 128, None),
        ((3, 1), 48, None),
        ((20, 1), 16, 300),
        ((4, 1), 24, 5),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_it_is_as_exact_as_its_types_allow(
    step: str, heads: tuple[int, int], dim: int, window: int | None, dtype: torch.dtype
) -> None:
    """Against float64. In bf16 weights and results are rounded once each. Heads of 24 go to another backend."""
    pool = Pool([start + new for start, new in STEPS[step]], heads, dim, dtype)
    given = torch.cat(pool.attend(BACKENDS["native"], rows_of(STEPS[step]), window))
    pool.keys, pool.values = pool.keys.double(), pool.values.double()
    pool.queries = [query.double() for query in pool.queries]
    expected = torch.cat(pool.attend(REFERENCE, rows_of(STEPS[step]), window))
    largest = pool.values.abs().max()
    bound = BF16 * (expected.abs() + largest) if dtype is torch.bfloat16 else 2e-6 * largest
    assert ((given.double() - expected).abs() <= bound).all()


@EACH_TYPE
@pytest.mark.parametrize("window", [None, 200])
def test_a_row_is_the_same_bits_in_any_step(dtype: torch.dtype, window: int | None) -> None:
    rows = rows_of([*LONG, (300, 77), (0, 40)])
    pool = Pool([start + new for _, start, new in rows], (14, 2), 64, dtype)
    together = pool.attend(BACKENDS["native"], rows, window)
    for row, expected in zip(rows, together, strict=True):
        assert torch.equal(pool.attend(BACKENDS["native"], [row], window)[0], expected)
    backwards = pool.attend(BACKENDS["native"], rows[::-1], window)[::-1]
    assert all(map(torch.equal, backwards, together))


@EACH_TYPE
@pytest.mark.parametrize("window", [None, 200])
@pytest.mark.parametrize("chunk", [1, 13, 128])
def test_a_token_is_the_same_bits_in_any_chunk(dtype: torch.dtype, window: int | None, chunk: int) -> None:
    length = 290
    pool = Pool([length], (6, 2), 32, dtype)
    whole = pool.attend(BACKENDS["native"], [(0, 0, length)], window)[0]
    for start in range(0 if chunk > 1 else length - 60, length, chunk):
        new = min(chunk, length - start)
        assert torch.equal(pool.attend(BACKENDS["native"], [(0, start, new)], window)[0], whole[start : start + new])


@EACH_TYPE
def test_a_row_is_the_same_bits_on_any_number_of_threads(dtype: torch.dtype) -> None:
    pool = Pool([2000], (2, 1), 64, dtype)
    found = []
    before = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(pool.attend(BACKENDS["native"], [(0, 1999, 1)])[0])
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@EACH_TYPE
def test_what_lies_behind_the_end_of_a_row_does_not_matter(dtype: torch.dtype) -> None:
    pool = Pool([20], (4, 2), 32, dtype)
    before = pool.attend(BACKENDS["native"], [(0, 16, 4)])[0]
    last_page = pool.tables[0][-1] * pool.page_size
    pool.keys[last_page + 4 : last_page + 16] = float("nan")
    pool.values[last_page + 4 : last_page + 16] = float("nan")
    assert torch.equal(pool.attend(BACKENDS["native"], [(0, 16, 4)])[0], before)
