"""A request of the scheduler, and the sequence that an executor runs for it."""

from dataclasses import dataclass, field

import msgspec

from xylem.services.scheduler.core.kv_cache.radix_node import RadixNode
from xylem.shared.protocol import GenerationParams, Tokenized
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack

NEVER = 1 << 62  # a length that no sequence reaches


@dataclass(slots=True, eq=False)
class Request:
    """A request from its submission to its end: new, waiting, running or retracting."""

    message: Tokenized
    arrival: int  # counts submissions up: the smaller is the older
    queued_s: float
    deadline_s: float  # by the clock of `SchedulerCore.step`; infinity for none
    trace: str
    tokens: bytes  # prompt and output so far, as a column; while it runs, as of its admission
    num_prompt: int
    params: GenerationParams = field(init=False)  # those of its next admission
    owned_from: int = -1  # number of arrivals when its gateway submitted or adopted it
    queued: bool = False  # stands in the queue
    sequence: "Sequence | None" = None  # while it is running or retracting
    is_suspect: bool = field(init=False)  # executors have died during it, and it has not been cleared since
    num_cached: int = -1  # cached tokens at its first admission, for the client's usage
    # A sequence that prefills the same tokens now, and the number of pages that the two share.
    prefix_source: "tuple[Sequence, int] | None" = None

    def __post_init__(self) -> None:
        self.is_suspect = self.message.suspected
        self.continue_from(self.tokens)

    def continue_from(self, tokens: bytes) -> None:
        """Sets the tokens that its next admission begins with. With output the prompt's log probabilities are done."""
        self.tokens = tokens
        self.params = self.message.params
        logprobs = self.params.logprobs
        if logprobs is not None and logprobs.prompt_from >= 0 and self.num_outputs:
            of_output = msgspec.structs.replace(logprobs, prompt_from=-1)
            self.params = msgspec.structs.replace(self.params, logprobs=of_output)

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
    def max_cached(self) -> int:
        """Tokens that need no prefill when they are cached: all but the last, whose logits yield the next one.

        A token's log probability comes from the logits of the token before it; mean pooling needs every token's state.
        """
        if self.params.pooling == "mean":
            return 0
        logprobs = self.params.logprobs
        first_logprob = self.num_tokens if logprobs is None or logprobs.prompt_from < 0 else logprobs.prompt_from
        return max(0, min(self.num_tokens, first_logprob) - 1)

    def seen_ids(self) -> bytes:
        """Returns the prompt's distinct tokens for a repetition penalty as a column; empty without one."""
        if self.params.sampling.repetition_penalty == 1.0:
            return b""
        return pack(sorted(set(unpack(self.message.prompt_ids))))

    @property
    def is_waiting_for_prefix(self) -> bool:
        """Whether another sequence still prefills tokens that this request would prefill."""
        if self.prefix_source is None:
            return False
        source, num_pages = self.prefix_source
        if source.is_prefilling and source.num_inserted < num_pages:
            return True
        self.prefix_source = None
        return False


@dataclass(slots=True, eq=False)
class Sequence:
    """One admission of a request. Positions and lengths count tokens from the beginning of the prompt.

        [ matched pages | pages prefilled here | own pages, partly unwritten                ]
        0               num_matched            num_inserted                len(page_table)     in pages
        0                               length (KV is there)   max_kv_tokens (KV that it may ever need), in tokens

    Pages before num_inserted are the radix tree's, locked through `node`, except `duplicates`; the rest are its own.
    """

    id: int
    request: Request
    executor: str
    tokens: bytearray
    num_prefill_tokens: int  # prompt and output at the admission; after them it decodes its first token
    length: int
    max_kv_tokens: int
    page_table: list[int]
    node: RadixNode
    num_matched: int
    num_inserted: int
    duplicates: list[int] = field(default_factory=list)  # own pages whose tokens the tree has in other pages
    next_grant_length: int = NEVER  # length at which it needs more pages
    num_published: int = 0  # pages in cache events
    is_prefilling: bool = True
    inflight_key: tuple[str, int, bytes] | None = None
    dropped_by_plan: int = -1  # number of the plan that drops it after a retraction

    @property
    def num_new(self) -> int:
        """Number of tokens decoded since its admission."""
        return len(self.tokens) // ITEM_BYTES - self.num_prefill_tokens

    @property
    def num_own(self) -> int:
        """Number of pages that only this sequence uses."""
        return len(self.page_table) - self.num_inserted + len(self.duplicates)

    @property
    def own_pages(self) -> list[int]:
        """Pages that only this sequence uses."""
        return self.page_table[self.num_inserted :] + self.duplicates
