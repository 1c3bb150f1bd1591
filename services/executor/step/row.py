"""One sequence in one step: what the engine wants of the runner, and what the runner finds beside the drawn token."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from xylem.services.executor.step.logits_processor import LogitsProcessor
from xylem.services.executor.step.logprobs import RowLogprobs
from xylem.shared.protocol import LogprobParams, SamplingParams

AWAITED = -1  # stands for the token that the step before draws, while only the device knows it


@dataclass(slots=True)
class StepRow:
    """Tokens to read at positions [start, start + len(token_ids)).

    A single token may be AWAITED. pages is the page table from position 0, the same array in all steps of a sequence,
    which only grows. sample: a token is drawn after the last one, bent by `shaping`. With scoring, the drawn token is
    scored, and so are `targets`: the tokens that follow those from first_scored on. With pooling ("last" or "mean") the
    states of the tokens are wanted. slot: a number that no other running sequence has, from 1 on.
    """

    token_ids: Sequence[int]
    start: int
    pages: "array[int]"
    sample: bool
    sampling: SamplingParams
    shaping: LogitsProcessor | None = None
    scoring: LogprobParams | None = None
    first_scored: int = 0
    targets: Sequence[int] = ()
    pooling: str = ""
    slot: int = 1

    # Found by the runner.
    scored: RowLogprobs | None = None  # of the drawn token
    target_scores: list[RowLogprobs] = field(default_factory=list)
    state: "array[float] | None" = None  # the last token's, or the sum of all: float32 [N]
