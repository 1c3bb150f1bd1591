"""A request in the scheduler's hands, and the sequence that it is while an executor runs it."""

from dataclasses import dataclass, field

import msgspec

from xylem.services.scheduler.core.kv_cache.radix_node import RadixNode
from xylem.shared.protocol import LogprobParams, Tokenized
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack

NEVER = 1 << 62  # a length that no sequence reaches


@dataclass(slots=True, eq=False)
class Request:
    """From its submission to its end. It is waiting, running, or leaving: dropped, but with tokens still on the way."""

    message: Tokenized
    arrival: int  # counts submissions up: the smaller is the older
    queued_s: float
    deadline_s: float  # in the core's clock; infinity for none
    trace: str
    tokens: bytes  # prompt and output so far, as a column; while it runs, as of its admission
    num_prompt: int
    owned_from: int = -1  # the count of arrivals when its gateway took it: at its submission, or when it adopted it
    queued: bool = False  # stands in the queue
    sequence: "Sequence | None" = None  # while it is running or leaving
    num_cached: int = -1  # cached tokens at its first admission, for the client's usage
    # A sequence that reads the same tokens now, and the number of pages after which the two part.
    waits_for: "tuple[Sequence, int] | None" = None

    @property
    def id(self) -> str:
        return self.message.request_id

    @property
    def num_tokens(self) -> int:
        return len(self.tokens) // ITEM_BYTES

    @property
    def num_outputs(self) -> int:
        return self.num_tokens - self.num_prompt

    @property
    def scoring(self) -> LogprobParams | None:
        """What is to be scored from here on: the prompt has been, once there is output."""
        scoring = self.message.scoring
        if scoring is None or not self.num_outputs:
            return scoring
        return msgspec.structs.replace(scoring, prompt_from=-1)

    @property
    def max_cached(self) -> int:
        """Tokens that need not be computed when they are cached: all but the last, whose logits draw the next one.

        A token's score comes out of the computation of the one before it, and a mean needs every token's state.
        """
        if self.message.pooling == "mean":
            return 0
        scoring = self.scoring
        first_scored = self.num_tokens if scoring is None or scoring.prompt_from < 0 else scoring.prompt_from
        return max(0, min(self.num_tokens, first_scored) - 1)

    def seen_ids(self) -> bytes:
        """Column of the prompt's distinct tokens for a repetition penalty; empty without one."""
        if self.message.sampling.repetition_penalty == 1.0:
            return b""
        return pack(sorted(set(unpack(self.message.prompt_ids))))

    @property
    def held(self) -> bool:
        """Whether somebody else still computes what this request would have to compute."""
        if self.waits_for is None:
            return False
        reader, num_pages = self.waits_for
        if reader.reading and reader.num_inserted < num_pages:
            return True
        self.waits_for = None
        return False


@dataclass(slots=True, eq=False)
class Sequence:
    """One admission of a request. Positions and lengths count tokens from the beginning of the prompt.

        [ matched pages | pages read here     | own pages, partly unwritten                ]
        0               num_matched           num_inserted                     len(table)      in pages
        0                               length (KV is there)       limit (KV that it may ever need), in tokens

    Pages before num_inserted are the tree's, locked through `node`, but for `duplicates`; the rest are its own.
    """

    id: int
    request: Request
    executor: str
    tokens: bytearray
    to_read: int  # tokens at the admission; after reading them it draws its first one
    length: int
    limit: int
    table: list[int]
    node: RadixNode
    num_matched: int
    num_inserted: int
    duplicates: list[int] = field(default_factory=list)  # own pages whose tokens the tree has in pages of its own
    refill_at: int = NEVER  # the length at which it needs another grant
    num_told: int = 0  # pages that routers know of
    reading: bool = True
    reading_key: tuple[str, int, bytes] | None = None
    dropped_by: int = -1  # number of the plan that drops it

    @property
    def num_own(self) -> int:
        """Pages that only this sequence uses."""
        return len(self.table) - self.num_inserted + len(self.duplicates)

    @property
    def own_pages(self) -> list[int]:
        return self.table[self.num_inserted :] + self.duplicates
