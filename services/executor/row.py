"""One sequence in one step: what the engine wants of the runner, and what the runner finds beside the drawn token."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from kernels.ops import Adjustment
from services.executor.grammar import Matcher
from services.executor.scores import Scored
from shared.messages import Sampling, Scoring


@dataclass(slots=True)
class Row:
    """Tokens to read at positions [start, start + len(token_ids)).

    pages is its page table from position 0; sample: a token is drawn after the last one, bent by adjustment and
    matcher. With scoring, the drawn token is scored, and so are `targets`: the tokens that follow those from
    first_scored on. With pooling ("last" or "mean") the states of the tokens are wanted.
    """

    token_ids: Sequence[int]
    start: int
    pages: "array[int]"
    sample: bool
    sampling: Sampling
    adjustment: Adjustment | None = None
    matcher: Matcher | None = None
    scoring: Scoring | None = None
    first_scored: int = 0
    targets: Sequence[int] = ()
    pooling: str = ""

    # Found by the runner.
    scored: Scored | None = None  # of the drawn token
    target_scores: list[Scored] = field(default_factory=list)
    state: "array[float] | None" = None  # the last token's, or the sum of all: float32 [N]
