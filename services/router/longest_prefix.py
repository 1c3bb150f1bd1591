"""A request goes where most of its prompt was read before, unless too many others do.

A router remembers what it sent where; it is not told what a scheduler has evicted since. Several routers each remember
their own: a conversation is then known to each of them after as many turns as there are routers.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from xylem.services.router.recent_sends import RecentSends
from xylem.shared.protocol import Presence, Tokenized
from xylem.shared.protocol.columns import ITEM_BYTES

# Prefixes are known by blocks of so many tokens, and no deeper than so many of them.
BLOCK_TOKENS = 64
MAX_BLOCKS = 128
REMEMBERED_BLOCKS = 1 << 16
# Another request of a scheduler delays this one about as much as so many tokens of prompt to read. A scheduler weighs
# its executors alike (RUNNING_COST), and one that waits has yet to be read.
RUNNING_COST = 16
WAITING_COST = 128

Block = tuple[str, int, int]  # scheduler, its epoch, hash of all tokens up to the end of the block


class LongestPrefix:
    """Fewest tokens to read, with what the others there cost counted in."""

    def __init__(self, remembered_blocks: int = REMEMBERED_BLOCKS) -> None:
        self._remembered_blocks = remembered_blocks
        self._sent = RecentSends()
        self._seen: OrderedDict[Block, None] = OrderedDict()  # the longest unused first

    def choose(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Remembers the request as sent to the first."""
        if not schedulers:
            return []
        hashes = list(_hashes(tokenized))
        costs = {s.id: self._load(s) - BLOCK_TOKENS * self._num_seen(s, hashes) for s in schedulers}
        order = sorted(schedulers, key=lambda s: (costs[s.id], s.id))
        self._sent.count(order[0], schedulers)
        self._remember(order[0], hashes)
        return [s.id for s in order]

    def _load(self, scheduler: Presence) -> int:
        num_running = scheduler.running + self._sent.since(scheduler)
        return RUNNING_COST * num_running + WAITING_COST * scheduler.waiting

    def _num_seen(self, scheduler: Presence, hashes: list[int]) -> int:
        """Leading blocks that went there before."""
        for index, each in enumerate(hashes):
            if (scheduler.id, scheduler.epoch, each) not in self._seen:
                return index
        return len(hashes)

    def _remember(self, scheduler: Presence, hashes: list[int]) -> None:
        for each in reversed(hashes):  # a prefix is forgotten from its end
            block = (scheduler.id, scheduler.epoch, each)
            self._seen[block] = None
            self._seen.move_to_end(block)
        while len(self._seen) > self._remembered_blocks:
            self._seen.popitem(last=False)


def _hashes(tokenized: Tokenized) -> Iterator[int]:
    """Of every prefix that ends with a block. Those of different salts have nothing in common."""
    prompt, width = tokenized.prompt_ids, BLOCK_TOKENS * ITEM_BYTES
    before = hash(tokenized.salt)
    for at in range(0, min(len(prompt) // width, MAX_BLOCKS) * width, width):
        before = hash((before, prompt[at : at + width]))
        yield before
