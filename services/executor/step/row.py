"""One sequence in one step: the work for the runner, and its results beside the sampled token."""

import logging
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from xylem.services.executor.failures import SequenceFailed, as_failure
from xylem.services.executor.step.logits_processor import LogitsProcessor
from xylem.services.executor.step.logprobs import RowLogprobs
from xylem.shared.protocol import LogprobParams, SamplingParams

log = logging.getLogger(__name__)

PLACEHOLDER_ID = -1  # stands for the token that the step before samples, while only the device knows it


@dataclass(slots=True)
class StepRow:
    """Tokens to compute at positions [start, start + len(token_ids)).

    A single token may be PLACEHOLDER_ID. pages: the page table from position 0, the same array in all steps of a
    sequence, which only grows. sample: whether a token is sampled after the last one, with logits changed by the
    logits_processor. logprobs: asks for the log probabilities of the sampled token and of `targets`, the tokens that
    follow those from first_target on. pooling: "last" or "mean" asks for the hidden states. slot: unique among running
    sequences, from 1.
    """

    token_ids: Sequence[int]
    start: int
    pages: "array[int]"
    sample: bool
    sampling: SamplingParams
    logits_processor: LogitsProcessor | None = None
    logprobs: LogprobParams | None = None
    first_target: int = 0
    targets: Sequence[int] = ()
    pooling: str = ""
    slot: int = 1

    # Results, filled by the runner.
    sampled_logprobs: RowLogprobs | None = None  # of the sampled token
    target_logprobs: list[RowLogprobs] = field(default_factory=list)
    state: "array[float] | None" = None  # the last token's, or the sum of all: float32 [N]
    failure: SequenceFailed | None = None  # then the others mean nothing, and neither does the sampled token


def fail_row(row: StepRow, error: Exception) -> None:
    """Notes that the work for a row failed: its sequence ends, and no other one."""
    if not isinstance(error, SequenceFailed):
        log.error("the work for a sequence failed", exc_info=error)
    row.failure = row.failure or as_failure(error)
