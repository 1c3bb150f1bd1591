"""Nodes of the radix tree, prefix matches, and the comparison of token columns."""

from dataclasses import dataclass

from xylem.shared.protocol.columns import ITEM_BYTES

Column = bytes | bytearray


class RadixNode:
    """A run of pages with their tokens. The root of a salt has neither."""

    __slots__ = ("children", "keys", "last_access", "locks", "pages", "parent", "queued", "salt", "start", "tokens")

    def __init__(self, tokens: bytearray, pages: list[int], start: int, parent: "RadixNode | None", salt: str) -> None:
        self.tokens = tokens
        self.pages = pages
        self.start = start  # number of pages above this node
        self.parent = parent  # None: a root, or no longer in the tree
        self.salt = salt
        self.children: dict[bytes, RadixNode] = {}  # by the tokens of their first page
        self.keys: list[bytes] = []  # the same keys, sorted: neighbours have the longest common prefix
        self.locks = 0  # number of sequences whose path runs through here
        self.last_access = 0.0
        self.queued = False  # has an entry in the eviction heap

    @property
    def end(self) -> int:
        """Number of pages from the root to the end of this node."""
        return self.start + len(self.pages)

    @property
    def path(self) -> list[int]:
        """Page numbers from the root to the end of this node."""
        runs = [self.pages]
        above = self.parent
        while above is not None:
            runs.append(above.pages)
            above = above.parent
        return [page for run in reversed(runs) for page in run]

    @property
    def alive(self) -> bool:
        """Whether the node is a root or in the tree: an evicted node has pages, but no parent."""
        return self.parent is not None or not self.pages


@dataclass(slots=True, frozen=True)
class PrefixMatch:
    """The longest cached prefix of some tokens. A match is valid until the tree changes.

    `num_pages` whole pages end `num_node_pages` pages into `node`; the next page begins with `partial_tokens` tokens
    that stand at the beginning of page `partial_page` of `partial_node`.
    """

    node: RadixNode
    num_node_pages: int
    num_pages: int
    num_tokens: int  # those of the partial page included
    partial_node: RadixNode | None = None
    partial_page: int = -1
    partial_tokens: int = 0


def common_prefix(a: Column, a_at: int, b: Column, b_at: int, limit: int) -> int:
    """Returns how many bytes `a` from a_at and `b` from b_at have in common within `limit` bytes, in whole tokens.

    Compares slices and halves the range; every byte is compared about once.
    """
    if a[a_at : a_at + limit] == b[b_at : b_at + limit]:
        return limit
    low, high = 0, limit // ITEM_BYTES  # the first difference is in tokens [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        x, y = low * ITEM_BYTES, middle * ITEM_BYTES
        if a[a_at + x : a_at + y] == b[b_at + x : b_at + y]:
            low = middle
        else:
            high = middle
    return low * ITEM_BYTES
