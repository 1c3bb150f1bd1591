"""The page allocator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xylem.services.scheduler.core.kv_cache.page_allocator import DoubleFree, PageAllocator, PagesExhausted


def test_a_double_free_is_detected() -> None:
    pages = PageAllocator(4)
    taken = pages.allocate(2)
    pages.free(taken)
    with pytest.raises(DoubleFree):
        pages.free([taken[0]])
    with pytest.raises(DoubleFree):
        PageAllocator(4).free([1])


def test_more_than_there_are_takes_none() -> None:
    pages = PageAllocator(3)
    with pytest.raises(PagesExhausted):
        pages.allocate(4)
    assert pages.num_free == 3


@given(st.lists(st.integers(0, 6), max_size=40))
def test_no_page_is_handed_out_twice(sizes: list[int]) -> None:
    pages, held = PageAllocator(16), list[list[int]]()
    for size in sizes:
        if size <= pages.num_free:
            held.append(pages.allocate(size))
        elif held:
            pages.free(held.pop(0))
        everything = pages.free_pages() + [page for taken in held for page in taken]
        assert sorted(everything) == list(range(16))
