"""How many prompt tokens a cache could have served at most, computed with knowledge of what is to come.

Two bounds on what any scheduler gets from a trace:

*Unlimited* memory: a token is served if it and all before it stood in an earlier prompt or answer. No order of the
requests changes the number of distinct prefixes, each of which somebody has to read once.

*Clairvoyant* eviction: the requests run when they did run in the replay, with the same memory, and as long as one does
its prompt stays in memory, as it must. What else there is room for is chosen knowing the future: when room is short,
what is used again latest goes first. For units of one size that is the best choice (Belady 1966), also when the room
changes over time, since dropping what is used latest never leaves less room than dropping anything else. Here a unit
is a single token, where the scheduler has whole pages; it goes in and out by itself, where the scheduler must also keep
all tokens before it; answers take room only when they are done, and what sequences reserve takes none. All that makes
the bound larger, never smaller. Several executors are taken as one with all their memory.

Tokens that stand in the same prompts are used at the same times, so the prefixes are kept as runs of such tokens.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.replay import Happened, Moment
from benchmarks.traces import Trace
from xylem.services.scheduler.core.kv_cache.radix_node import common_prefix
from xylem.shared.protocol.columns import ITEM_BYTES


@dataclass(slots=True, eq=False)
class Run:
    """Tokens that follow each other in every sequence that has one of them."""

    tokens: bytes
    depth: int = 0
    children: dict[bytes, "Run"] = field(default_factory=dict)  # by the first token
    uses: list[int] = field(default_factory=list)  # when they are asked for, the latest first
    num_running: int = 0  # sequences that have them in their prompt now
    num_kept: int = 0

    @property
    def num_tokens(self) -> int:
        return len(self.tokens) // ITEM_BYTES

    @property
    def next_use(self) -> float:
        return self.uses[-1] if self.uses else math.inf


class Runs:
    """All prefixes of a trace, cut wherever some sequence parts from another or ends."""

    def __init__(self) -> None:
        self._root = Run(b"")

    def insert(self, tokens: bytes) -> None:
        """Makes `tokens` end where a run ends."""
        at, above = 0, self._root
        while at < len(tokens):
            key = tokens[at : at + ITEM_BYTES]
            run = above.children.get(key)
            if run is None:
                above.children[key] = Run(tokens[at:])
                return
            shared = common_prefix(run.tokens, 0, tokens, at, min(len(run.tokens), len(tokens) - at))
            if shared < len(run.tokens):
                upper = above.children[key] = Run(run.tokens[:shared])
                run.tokens = run.tokens[shared:]
                upper.children[run.tokens[:ITEM_BYTES]] = run
                run = upper
            at, above = at + shared, run

    def path(self, tokens: bytes) -> Iterator[Run]:
        """The runs that spell `tokens`, which were inserted."""
        at, above, depth = 0, self._root, 0
        while at < len(tokens):
            above = above.children[tokens[at : at + ITEM_BYTES]]
            above.depth = depth
            at, depth = at + len(above.tokens), depth + 1
            yield above


class Clairvoyant:
    """A cache of `num_tokens` that knows when each run is asked for again."""

    def __init__(self, num_tokens: float) -> None:
        self._room = num_tokens
        self._latest: list[tuple[float, int, int, Run]] = []  # what may go; entries may be stale
        self._ties = 0

    def keep(self, run: Run) -> None:
        """All of the run is in memory now."""
        self._room -= run.num_tokens - run.num_kept
        run.num_kept = run.num_tokens

    def offer(self, run: Run) -> None:
        """The run may go."""
        self._ties += 1
        heapq.heappush(self._latest, (-run.next_use, -run.depth, self._ties, run))

    def shrink(self) -> None:
        """Drops what is used latest until all fits, a run from its end."""
        while self._room < 0 and self._latest:
            minus_use, _, _, run = self._latest[0]
            if run.num_running or not run.num_kept or -minus_use != run.next_use:
                heapq.heappop(self._latest)
                continue
            dropped = int(min(run.num_kept, -self._room))
            run.num_kept -= dropped
            self._room += dropped


def most_served(trace: Trace, moments: list[Moment], num_tokens: float) -> int:
    """Prompt tokens served from a memory of `num_tokens`, at most, when calls ran in the order of `moments`."""
    # The last token of a prompt is always read, and the last one of an answer is never written.
    useful = [call.prompt[:-ITEM_BYTES] for call in trace]
    written = [call.prompt + call.output[:-ITEM_BYTES] for call in trace]
    runs = Runs()
    for index, call in enumerate(trace):
        for tokens in (useful[index], call.prompt, written[index]):
            runs.insert(tokens)
    first: dict[int, int] = {}
    for time, moment in enumerate(moments):
        if moment.what is Happened.ADMITTED:
            first.setdefault(moment.call, time)
    for call_index, time in reversed(first.items()):
        for run in runs.path(useful[call_index]):
            run.uses.append(time)
    cache, num_served = Clairvoyant(num_tokens), 0
    for time, moment in enumerate(moments):
        prompt = list(runs.path(trace[moment.call].prompt))
        if moment.what is Happened.ADMITTED:
            if first[moment.call] == time:
                for run in runs.path(useful[moment.call]):
                    num_served += run.num_kept
                    run.uses.pop()
            for run in prompt:
                run.num_running += 1
                cache.keep(run)
        else:
            for run in prompt:
                run.num_running -= 1
                cache.offer(run)
        if moment.what is Happened.ENDED:
            for run in runs.path(written[moment.call]):
                cache.keep(run)
                cache.offer(run)
        cache.shrink()
    return num_served
