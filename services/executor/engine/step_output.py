"""This module holds what one step did, as the engine hands it over."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.failures import SequenceFailed
from xylem.shared.protocol import FinishReason, Logprobs, SequenceStart


@dataclass(slots=True)
class StepOutput:
    """Holds what one step did: parallel lists, one entry per sequence that took part; token_ids are concatenated.

    offsets: index of a row's first token among its request's output tokens. starts, prompt_logprobs: of the sequences
    whose first tokens these are, by row. broken: rows of sequences that end without a token after others. embedded (the
    pooled state) and refused (those without any token) are for gateways. started_ns (Unix time) and duration_us belong
    to whoever drives the engine.
    """

    epoch: int
    plan_epoch: int
    plan: int
    step: int
    sequence_ids: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finishes: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    detokenizers: list[str] = field(default_factory=list)
    starts: dict[int, SequenceStart] = field(default_factory=dict)
    logprobs: dict[int, Logprobs] = field(default_factory=dict)
    prompt_logprobs: dict[int, Logprobs] = field(default_factory=dict)
    embedded: "list[tuple[SequenceStart, array[float]]]" = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    refused: list[tuple[SequenceStart, SequenceFailed]] = field(default_factory=list)
    num_running: int = 0  # after the step
    started_ns: int = 0
    duration_us: int = 0

    def add_row(self, sequence: SequenceState, token_ids: Sequence[int], finish: FinishReason, offset: int = 0) -> None:
        """A row."""
        self.sequence_ids.append(sequence.sequence_id)
        self.lengths.append(sequence.length)
        self.counts.append(len(token_ids))
        self.token_ids.extend(token_ids)
        self.finishes.append(finish)
        self.offsets.append(offset)
        self.detokenizers.append(sequence.detokenizer)
