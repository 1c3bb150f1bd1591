"""A radix tree over token ids whose nodes are runs of whole KV pages.

Tokens are columns of int32 as they travel (`protocol.columns`): a comparison of two runs is one memcmp, and a prompt of
100k tokens is matched without a loop over its tokens. Matching is token-exact at any page size: the pages that match
as a whole are shared, and the page in which the match ends is named as `partial`, so that its first tokens can be
copied. Sources of the idea: SGLang's RadixAttention (Zheng et al. 2024, arXiv 2312.07104).

    root -- [p0 p1 p2] -- [p3 p4]          a path from the root spells a prefix; children differ in their first page
                       \\- [p5]             (they may agree on its first tokens: that is what `partial` finds)
"""

import bisect
import heapq

from xylem.services.scheduler.core.kv_cache.radix_node import Column, PrefixMatch, RadixNode, common_prefix
from xylem.shared.protocol.columns import ITEM_BYTES


class RadixTree:
    """The cached prefixes of one executor. The tree owns the pages in its nodes until `evict_leaves` returns them."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.roots: dict[str, RadixNode] = {}
        self.num_pages = 0
        self.num_evictable = 0  # pages in nodes without a lock
        self._width = page_size * ITEM_BYTES
        self._heap: list[tuple[float, int, RadixNode]] = []  # unlocked leaves by last access; entries may be stale
        self._ties = 0

    def match_prefix(self, tokens: Column, num_tokens: int, salt: str) -> PrefixMatch:
        """Finds the longest cached prefix of the first `num_tokens` of `tokens`. Changes nothing."""
        width = self._width
        whole = num_tokens // self.page_size
        node = self.roots.get(salt) or RadixNode(bytearray(), [], 0, None, salt)
        at = taken = 0
        while at < whole:
            child = node.children.get(bytes(tokens[at * width : (at + 1) * width]))
            if child is None:
                break
            node, taken = child, len(child.pages)
            if at + taken > whole or not tokens.startswith(child.tokens, at * width):
                taken = common_prefix(child.tokens, 0, tokens, at * width, min(taken, whole - at) * width) // width
                at += taken
                break
            at += taken
        rest = bytes(tokens[at * width : min((at + 1) * width, num_tokens * ITEM_BYTES)])
        found, index, shared = self._partial(node, taken, rest)
        page = -1 if found is None else found.pages[index]
        return PrefixMatch(node, taken, at, at * self.page_size + shared, found, page, shared)

    def lock_match(self, match: PrefixMatch, now: float) -> RadixNode:
        """Locks the whole pages of `match` until `unlock_path` of the returned node, which ends where they end."""
        node = match.node
        if match.num_node_pages < len(node.pages):
            node = self._split(node, match.num_node_pages)
        self.lock_path(node, now)
        return node

    def lock_path(self, node: RadixNode, now: float, below: RadixNode | None = None) -> None:
        """Adds a lock to the path from `node` up to `below`, which is excluded; up to the root without it."""
        at: RadixNode | None = node
        while at is not None and at is not below:
            if at.locks == 0:
                self.num_evictable -= len(at.pages)
            at.locks += 1
            at.last_access = now
            if at.parent is None:
                self.roots[at.salt] = at
            at = at.parent

    def unlock_path(self, node: RadixNode, now: float) -> None:
        """Removes a lock from the path of `node`. Nodes without locks can be evicted."""
        at: RadixNode | None = node
        while at is not None:
            above = at.parent
            at.locks -= 1
            at.last_access = now
            if at.locks == 0:
                self.num_evictable += len(at.pages)
                self._offer_for_eviction(at)
            at = above

    def insert_pages(
        self, node: RadixNode, tokens: Column, pages: list[int], now: float
    ) -> tuple[RadixNode, list[int]]:
        """Inserts `pages`, which follow the end of `node`, and moves the caller's lock on `node` to the new end.

        tokens: the prefix from the root. Returns the new end and the duplicates, pages whose tokens the tree had in
        pages of its own. Duplicates stay the caller's; the tree owns the others from now on.
        """
        width, first = self._width, node.end
        at, end, top = first, first + len(pages), node
        duplicates: list[int] = []
        while at < end:
            child = node.children.get(bytes(tokens[at * width : (at + 1) * width]))
            if child is None:
                break
            limit = min(len(child.pages), end - at) * width
            shared = common_prefix(child.tokens, 0, tokens, at * width, limit) // width
            node = child if shared == len(child.pages) else self._split(child, shared)
            duplicates += pages[at - first : at - first + shared]
            at += shared
        self.lock_path(node, now, below=top)
        fresh = pages[at - first :]
        if not fresh:
            return node, duplicates
        run = tokens[at * width : end * width]
        self.num_pages += len(fresh)
        if node.locks == 1 and not node.children and node.parent is not None:
            # A leaf that only the caller locks grows in place, so that a prompt prefilled in chunks stays one node.
            node.tokens += run
            node.pages += fresh
            return node, duplicates
        child = RadixNode(bytearray(run), fresh, at, node, node.salt)
        child.locks, child.last_access = 1, now
        self._attach(child)
        return child, duplicates

    def evict_leaves(self, num_pages: int, num_published_pages: int = 0) -> tuple[list[int], list[tuple[str, bytes]]]:
        """Evicts up to `num_pages` pages from the ends of the least recently used unlocked leaves.

        Returns the pages, and the (salt, prefix) of every first page that was evicted, its own tokens included: nothing
        at or beyond that page is cached any more. First pages deeper than `num_published_pages` are left out.
        """
        freed: list[int] = []
        # The remaining path of each, its number of pages, and the tokens of the page after it.
        cuts: list[tuple[RadixNode, int, bytes]] = []
        while len(freed) < num_pages and self._heap:
            used, _, node = self._heap[0]
            if node.locks or node.children or node.parent is None:
                heapq.heappop(self._heap)
                node.queued = False
                continue
            if node.last_access != used:
                heapq.heapreplace(self._heap, (node.last_access, self._next_tie(), node))
                continue
            keep = max(0, len(node.pages) - (num_pages - len(freed)))
            freed += node.pages[keep:]
            self.num_pages -= len(node.pages) - keep
            self.num_evictable -= len(node.pages) - keep
            above = node if keep else node.parent
            if node.start + keep < num_published_pages:
                cuts.append(
                    (above, node.start + keep, bytes(node.tokens[keep * self._width : (keep + 1) * self._width]))
                )
            if keep:
                del node.pages[keep:], node.tokens[keep * self._width :]
            else:
                heapq.heappop(self._heap)
                self._detach(node)
        # A cut above a later cut of the same path says nothing new (and its path is gone).
        return freed, [
            (node.salt, self.prefix(node) + key) for node, end, key in cuts if node.alive and node.end == end
        ]

    def prefix(self, node: RadixNode) -> bytes:
        """Returns the tokens from the root to the end of `node`."""
        runs: list[bytearray] = []
        at: RadixNode | None = node
        while at is not None:
            runs.append(at.tokens)
            at = at.parent
        return b"".join(reversed(runs))

    def nodes(self) -> list[RadixNode]:
        """Returns all nodes, the roots included."""
        found = list(self.roots.values())
        for node in found:  # grows while it is read
            found += node.children.values()
        return found

    def _partial(self, node: RadixNode, taken: int, rest: bytes) -> tuple[RadixNode | None, int, int]:
        """The page after `taken` pages of `node` that shares most tokens with `rest`, as (node, index, tokens)."""
        if not rest or self.page_size == 1:
            return None, 0, 0
        if taken < len(node.pages):
            shared = common_prefix(node.tokens, taken * self._width, rest, 0, len(rest)) // ITEM_BYTES
            return (node, taken, shared) if shared else (None, 0, 0)
        # In sorted order the longest common prefix with `rest` is next to where `rest` would stand.
        best: tuple[RadixNode | None, int, int] = (None, 0, 0)
        at = bisect.bisect_left(node.keys, rest)
        for key in node.keys[max(at - 1, 0) : at + 1]:
            shared = common_prefix(key, 0, rest, 0, len(rest)) // ITEM_BYTES
            if shared > best[2]:
                best = (node.children[key], 0, shared)
        return best

    def _split(self, node: RadixNode, num_pages: int) -> RadixNode:
        """Cuts `node` after `num_pages` pages. `node` stays the lower part, so that locks on it stay where they are."""
        above = node.parent
        assert above is not None
        assert 0 < num_pages < len(node.pages)
        cut = num_pages * self._width
        upper = RadixNode(node.tokens[:cut], node.pages[:num_pages], node.start, above, node.salt)
        upper.locks, upper.last_access = node.locks, node.last_access
        above.children[bytes(upper.tokens[: self._width])] = upper
        node.tokens, node.pages = node.tokens[cut:], node.pages[num_pages:]
        node.start += num_pages
        node.parent = upper
        self._attach(node)
        return upper

    def _attach(self, node: RadixNode) -> None:
        above = node.parent
        assert above is not None
        key = bytes(node.tokens[: self._width])
        above.children[key] = node
        bisect.insort(above.keys, key)

    def _detach(self, node: RadixNode) -> None:
        above = node.parent
        assert above is not None
        key = bytes(node.tokens[: self._width])
        del above.children[key]
        del above.keys[bisect.bisect_left(above.keys, key)]
        node.parent = None
        node.queued = False
        self._offer_for_eviction(above)

    def _offer_for_eviction(self, node: RadixNode) -> None:
        """Puts an unlocked leaf into the heap; removes an empty root."""
        if node.locks or node.children:
            return
        if node.parent is None:
            self.roots.pop(node.salt, None)
        elif not node.queued:
            node.queued = True
            heapq.heappush(self._heap, (node.last_access, self._next_tie(), node))

    def _next_tie(self) -> int:
        self._ties += 1
        return self._ties
