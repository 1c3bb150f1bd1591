"""Routing by prefix: a request goes where most of its prompt was prefilled before, unless the load there is too high.

A router remembers what it sent where, and not what a scheduler has evicted since. Several routers each remember their
own: a conversation is then known to each of them after as many turns as there are routers.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from xylem.services.router.policy import RouterPolicy
from xylem.services.router.recent_sends import RecentSends
from xylem.shared.protocol import Presence, Tokenized
from xylem.shared.protocol.columns import ITEM_BYTES

Block = tuple[str, int, int]  # scheduler, its epoch, hash of all tokens up to the end of the block


class LongestPrefix:
    """Selects the scheduler with the fewest tokens to prefill, the cost of its other requests included."""

    def __init__(self, policy: RouterPolicy) -> None:
        self._policy = policy
        self._recent_sends = RecentSends()
        self._sent_blocks: OrderedDict[Block, None] = OrderedDict()  # the least recently used first

    def select_schedulers(self, tokenized: Tokenized, schedulers: Sequence[Presence]) -> list[str]:
        """Returns the ids, cheapest first, and remembers the request as sent to the first."""
        if not schedulers:
            return []
        hashes = list(self._block_hashes(tokenized))
        block_tokens = self._policy.block_tokens
        costs = {s.id: self._load(s) - block_tokens * self._num_sent_blocks(s, hashes) for s in schedulers}
        order = sorted(schedulers, key=lambda s: (costs[s.id], s.id))
        self._recent_sends.record_send(order[0], schedulers)
        self._remember(order[0], hashes)
        return [s.id for s in order]

    def _load(self, scheduler: Presence) -> int:
        num_running = scheduler.running + self._recent_sends.num_since(scheduler)
        policy = self._policy
        return policy.running_cost_tokens * num_running + policy.waiting_cost_tokens * scheduler.waiting

    def _num_sent_blocks(self, scheduler: Presence, hashes: list[int]) -> int:
        """Number of leading blocks that were sent to `scheduler` before."""
        for index, each in enumerate(hashes):
            if (scheduler.id, scheduler.epoch, each) not in self._sent_blocks:
                return index
        return len(hashes)

    def _remember(self, scheduler: Presence, hashes: list[int]) -> None:
        for each in reversed(hashes):  # a prefix is forgotten from its end
            block = (scheduler.id, scheduler.epoch, each)
            self._sent_blocks[block] = None
            self._sent_blocks.move_to_end(block)
        while len(self._sent_blocks) > self._policy.max_remembered_blocks:
            self._sent_blocks.popitem(last=False)

    def _block_hashes(self, tokenized: Tokenized) -> Iterator[int]:
        """Yields a hash of every prefix that ends with a block. Hashes of different salts have nothing in common."""
        prompt, width = tokenized.prompt_ids, self._policy.block_tokens * ITEM_BYTES
        before = hash(tokenized.params.cache_salt)
        for at in range(0, min(len(prompt) // width, self._policy.max_blocks) * width, width):
            before = hash((before, prompt[at : at + width]))
            yield before
