"""Reports a step of an executor: to its scheduler, which keeps account, and to detokenizers, which make text."""

from collections.abc import Iterator
from enum import IntEnum

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count, Int64
from xylem.shared.protocol.columns import unpack_rows
from xylem.shared.protocol.generation_params import GenerationParams, SamplingParams


class FinishReason(IntEnum):
    """Reason for the end of a sequence, as it travels in a column."""

    NONE = 0
    STOP = 1  # end-of-sequence, stop token id or stop string
    LENGTH = 2
    ABORT = 3
    ERROR = 4


class SequenceStart(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Identifies a sequence: comes to the executor with its admit, and to the detokenizer with its first tokens.

    The executor hands on `for_detokenizer`, which leaves out what may be large and only the executor reads.
    """

    request_id: str
    attempt: Count
    gateway: str
    scheduler: str
    num_prompt_tokens: Count
    num_cached_tokens: Count
    context_ids: bytes = b""  # column: last few prompt tokens; text is cut after them
    output_ids: bytes = b""  # column: output tokens before `offset`, replayed to rebuild text and stop state
    params: GenerationParams = GenerationParams()
    trace: str = ""

    def for_detokenizer(self) -> "SequenceStart":
        """Returns the same without grammar and logit bias."""
        params = self.params
        if params.grammar is None and not params.sampling.bias_ids:
            return self
        kept = msgspec.structs.replace(params, grammar=None, sampling=SamplingParams())
        return msgspec.structs.replace(self, params=kept)


class Logprobs(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Holds log probabilities of successive tokens as columns of float32; NaN for a prompt's first token.

    Of k likeliest ones, top_ids and top_logprobs have k for each token, likeliest first; asked_logprobs those of
    LogprobParams.token_ids for each.
    """

    logprobs: bytes = b""
    top_ids: bytes = b""  # column of int32
    top_logprobs: bytes = b""
    asked_logprobs: bytes = b""
    token_ids: bytes = b""  # column: the tokens, where the message does not have them elsewhere


class StepReport(Message, frozen=True, tag="StepReport"):
    """Holds the rows of one step. Row i: sequence, KV length after the step, tokens produced, and how it ended."""

    executor: str
    epoch: int  # the executor's
    plan_epoch: int  # the scheduler epoch of the last applied plan
    plan: int  # number of the last applied plan
    step: int  # counts up from 0 within an epoch; a report without rows acknowledges plans only
    sequence_ids: bytes = b""
    lengths: bytes = b""  # tokens whose KV is in the pages
    counts: bytes = b""
    token_ids: bytes = b""  # concatenated
    finishes: bytes = b""  # column of FinishReason
    duration_us: int = 0

    def rows(self) -> "Iterator[tuple[int, ...]]":
        """Returns (sequence id, length, number of tokens, finish) row by row. Raises ValueError for broken columns."""
        return unpack_rows(self.sequence_ids, self.lengths, self.counts, self.finishes)


class TokenDeltas(Message, frozen=True, tag="TokenDeltas"):
    """Carries the new tokens of one step to one detokenizer. A sequence's start comes with its first tokens."""

    executor: str
    epoch: int
    sequence_ids: bytes
    offsets: bytes  # index of the first new token among the request's output tokens
    counts: bytes
    token_ids: bytes
    finishes: bytes
    starts: tuple[tuple[Count, SequenceStart], ...] = ()  # (sequence id, start)
    plan_epoch: Int64 = -1  # sequence ids are unique within it; with another one all earlier sequences are gone
    scores: tuple[tuple[Count, Logprobs], ...] = ()  # (row, of its new tokens)
    prompt_scores: tuple[tuple[Count, Logprobs], ...] = ()  # (row, of its prompt from LogprobParams.prompt_from on)

    def rows(self) -> "Iterator[tuple[int, ...]]":
        """Returns (sequence id, offset, number of tokens, finish) row by row. Raises ValueError for broken columns."""
        return unpack_rows(self.sequence_ids, self.offsets, self.counts, self.finishes)
