"""Says what a scheduler lets an executor do. Plans are numbered and applied in order, always between two steps."""

from collections.abc import Iterator

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count, Int32, Serial
from xylem.shared.protocol.columns import unpack_rows
from xylem.shared.protocol.steps import SequenceStart


class PageCopy(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Copies the KV of the first num_tokens of page `source` to page `target` before the sequence runs."""

    source: Count
    target: Count
    num_tokens: Count


class Admit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Starts a sequence.

    Its tokens are [0, num_cached) already in `pages`, then `token_ids` to be read. The token sampled after reading
    them is output token `offset` of the request (earlier ones were produced before a retraction or another attempt).
    """

    sequence_id: Count  # unique within a plan epoch, never reused
    token_ids: bytes  # column, at least one
    num_cached: Count
    pages: bytes  # column: page table from position 0, cached pages first
    max_new_tokens: Int32  # from `offset` on
    offset: Count
    detokenizer: str
    start: SequenceStart
    copy: PageCopy | None = None
    seen_ids: bytes = b""  # column: distinct prompt tokens, when there is a repetition penalty


class Plan(Message, frozen=True, tag="Plan"):
    """Changes what an executor may run.

    Number 0 begins a new epoch: the executor forgets all sequences first. A gap in the numbers, or an unknown epoch
    that does not begin at 0, makes the executor reset and start a new epoch of its own.
    Order of application: drops, then admits (page copies in order), then grants.
    """

    scheduler: str
    epoch: Serial  # the scheduler's
    number: Serial
    executor_epoch: Serial  # the executor life the scheduler believes in; another one ignores the plan
    drops: bytes = b""  # column of sequence ids
    admits: tuple[Admit, ...] = ()
    grant_ids: bytes = b""  # column of sequence ids
    grant_counts: bytes = b""  # column: number of pages for each
    grant_pages: bytes = b""  # column: the pages, concatenated

    def grants(self) -> "Iterator[tuple[int, ...]]":
        """Returns (sequence id, number of pages) row by row. Raises ValueError for broken columns."""
        return unpack_rows(self.grant_ids, self.grant_counts)
