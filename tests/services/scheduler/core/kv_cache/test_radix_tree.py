"""The radix tree against a naive model: a set of all page-aligned prefixes that were inserted and not evicted."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xylem.services.scheduler.core.kv_cache.page_allocator import PageAllocator
from xylem.services.scheduler.core.kv_cache.radix_node import RadixNode, common_prefix
from xylem.services.scheduler.core.kv_cache.radix_tree import RadixTree
from xylem.shared.protocol.columns import pack, unpack


@given(st.lists(st.integers(0, 1), max_size=12), st.lists(st.integers(0, 1), max_size=12), st.integers(0, 12))
def test_common_prefix_is_the_naive_one(a: list[int], b: list[int], limit: int) -> None:
    limit = min(limit, len(a), len(b))
    naive = next((i for i in range(limit) if a[i] != b[i]), limit)
    assert common_prefix(pack([9, *a]), 4, pack(b), 0, limit * 4) == naive * 4


@dataclass
class Cache:
    """The tree with an allocator, beside the model: prefix -> the page of its last tokens."""

    page_size: int
    radix_tree: RadixTree = field(init=False)
    page_allocator: PageAllocator = field(default_factory=lambda: PageAllocator(60))
    model: dict[tuple[str, tuple[int, ...]], int] = field(default_factory=dict)
    locked: list[tuple[RadixNode, str, tuple[int, ...]]] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.radix_tree = RadixTree(self.page_size)

    def insert(self, tokens: list[int], salt: str, *, keep: bool) -> None:
        """As a sequence does it: match, lock, allocate the rest, advance, free what is double, unlock."""
        self.now += 1
        whole = len(tokens) // self.page_size
        column = pack(tokens)
        match = self.radix_tree.match_prefix(column, len(tokens), salt)
        node = self.radix_tree.lock_match(match, self.now)
        need = whole - match.num_pages
        if need > self.page_allocator.num_free:
            self.evict(need - self.page_allocator.num_free)
        if need > self.page_allocator.num_free:
            self.radix_tree.unlock_path(node, self.now)
            return
        fresh = self.page_allocator.allocate(need)
        for index, page in enumerate(fresh, match.num_pages + 1):
            self.model[salt, tuple(tokens[: index * self.page_size])] = page
        node, duplicates = self.radix_tree.insert_pages(node, column, fresh, self.now)
        assert not duplicates
        if keep:
            self.locked.append((node, salt, tuple(tokens[: whole * self.page_size])))
        else:
            self.radix_tree.unlock_path(node, self.now)

    def evict(self, count: int) -> None:
        before = self.radix_tree.num_evictable
        freed, told = self.radix_tree.evict_leaves(count, num_published_pages=1000)
        assert len(freed) == min(count, before)
        self.page_allocator.free(freed)
        gone = {key for key, page in self.model.items() if page in freed}
        for salt, prefix in gone:
            del self.model[salt, prefix]
            assert not any(s == salt and kept[: len(prefix)] == prefix for _, s, kept in self.locked), "it was locked"
        # What is told says the same: the first prefix that is gone stands for all beyond it.
        for salt, prefix in gone:
            assert any(s == salt and pack(prefix).startswith(first) for s, first in told)
        assert {(s, tuple(unpack(first))) for s, first in told} <= gone

    def check(self) -> None:
        nodes = self.radix_tree.nodes()
        in_tree = [page for node in nodes for page in node.pages]
        assert sorted(in_tree) == sorted(self.model.values())
        assert self.radix_tree.num_pages == len(in_tree)
        assert self.radix_tree.num_evictable == sum(len(node.pages) for node in nodes if not node.locks)
        for node in nodes:
            if node.parent is not None:
                assert self.model[node.salt, tuple(unpack(self.radix_tree.prefix(node)))] == node.pages[-1]

    def check_match(self, tokens: list[int], salt: str) -> None:
        size = self.page_size
        whole = 0
        while whole < len(tokens) // size and (salt, tuple(tokens[: (whole + 1) * size])) in self.model:
            whole += 1
        # The best page after them, token by token.
        best, prefix = 0, tuple(tokens[: whole * size])
        rest = tokens[whole * size : (whole + 1) * size]
        for known_salt, known in self.model:
            if known_salt == salt and len(known) == (whole + 1) * size and known[: whole * size] == prefix:
                page = known[whole * size :]
                best = max(best, next((i for i, token in enumerate(rest) if token != page[i]), len(rest)))
        match = self.radix_tree.match_prefix(pack(tokens), len(tokens), salt)
        assert (match.num_pages, match.partial_tokens) == (whole, best)
        assert match.num_tokens == whole * size + best
        if best:
            source = next(key for key, page in self.model.items() if page == match.partial_page)
            assert source[1][: whole * size + best] == tuple(tokens[: whole * size + best])
        node = self.radix_tree.lock_match(match, self.now)
        assert node.path == [self.model[salt, tuple(tokens[: (i + 1) * size])] for i in range(whole)]
        self.radix_tree.unlock_path(node, self.now)


TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=24)


@settings(max_examples=200)
@given(
    page_size=st.sampled_from([1, 2, 3, 4, 16]),
    events=st.lists(st.tuples(st.integers(0, 7), TOKENS, st.sampled_from(["", "x"])), max_size=25),
)
def test_the_tree_matches_what_a_naive_model_matches(page_size: int, events: list[tuple[int, list[int], str]]) -> None:
    cache = Cache(page_size)
    for what, tokens, salt in events:
        if what < 4:
            cache.insert(tokens, salt, keep=what == 0)
        elif what == 4:
            cache.evict(len(tokens))
        elif what == 5 and cache.locked:
            node, _, _ = cache.locked.pop(len(tokens) % len(cache.locked))
            cache.radix_tree.unlock_path(node, cache.now)
        else:
            cache.check_match(tokens, salt)
        cache.check()
        cache.check_match(tokens, salt)
    for node, _, _ in cache.locked:
        cache.radix_tree.unlock_path(node, cache.now)
    cache.locked.clear()
    cache.evict(1000)
    assert not cache.radix_tree.roots
    assert cache.page_allocator.num_free == 60


def insert(tree: RadixTree, tokens: list[int], pages: list[int], now: float) -> list[int]:
    """Inserts and locks nothing; returns the duplicates."""
    node = tree.lock_match(tree.match_prefix(b"", 0, ""), now)
    node, duplicates = tree.insert_pages(node, pack(tokens), pages, now)
    tree.unlock_path(node, now)
    return duplicates


def test_pages_that_are_there_already_are_returned() -> None:
    tree = RadixTree(2)
    assert insert(tree, [1, 2, 3, 4], [0, 1], 1.0) == []
    assert insert(tree, [1, 2, 3, 4, 5, 6], [7, 8, 9], 2.0) == [7, 8]
    assert insert(tree, [1, 2, 9, 9], [5, 6], 3.0) == [5]
    assert sorted(page for node in tree.nodes() for page in node.pages) == [0, 1, 6, 9]


def test_the_least_recently_used_leaf_goes_first_from_its_end() -> None:
    tree = RadixTree(1)
    insert(tree, [1, 2, 3], [0, 1, 2], 1.0)
    insert(tree, [1, 8, 9], [0, 3, 4], 2.0)
    assert tree.evict_leaves(1)[0] == [2]
    tree.unlock_path(tree.lock_match(tree.match_prefix(pack([1, 2]), 2, ""), 3.0), 3.0)
    assert tree.evict_leaves(2)[0] == [3, 4]
    assert tree.evict_leaves(5)[0] == [1, 0]


def test_a_locked_path_stays() -> None:
    tree = RadixTree(1)
    insert(tree, [1, 2, 3], [0, 1, 2], 1.0)
    node = tree.lock_match(tree.match_prefix(pack([1, 2]), 2, ""), 2.0)
    assert tree.num_evictable == 1
    assert tree.evict_leaves(9)[0] == [2]
    tree.unlock_path(node, 3.0)
    assert tree.evict_leaves(9)[0] == [0, 1]


def test_a_prompt_read_in_chunks_is_one_node() -> None:
    tree = RadixTree(2)
    node = tree.lock_match(tree.match_prefix(b"", 0, ""), 0.0)
    tokens = list(range(40))
    for page in range(20):
        node, _ = tree.insert_pages(node, pack(tokens[: 2 * page + 2]), [page], 1.0)
    assert len(tree.nodes()) == 2
    assert node.path == list(range(20))
    tree.unlock_path(node, 2.0)


@pytest.mark.parametrize("page_size", [1, 16])
def test_a_long_prompt_is_matched_exactly(page_size: int) -> None:
    tree = RadixTree(page_size)
    tokens = [i * 7 % 31 for i in range(32_000)]
    insert(tree, tokens, list(range(32_000 // page_size)), 1.0)
    changed = pack([*tokens[:20_001], 99, *tokens[20_002:]])
    match = tree.match_prefix(changed, 32_000, "")
    assert match.num_tokens == 20_001
    assert match.num_pages == 20_001 // page_size
