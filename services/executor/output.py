"""What one step did, as the engine hands it over."""

from dataclasses import dataclass, field

from shared.messages import Opening


@dataclass(slots=True)
class StepOutput:
    """What one step did: parallel lists, one entry per sequence that took part; token_ids are concatenated.

    offsets: index of a row's first token among its request's output tokens. openings: of the sequences whose first
    tokens these are, by row. started_ns (Unix time) and duration_us belong to whoever drives the engine.
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
    openings: dict[int, Opening] = field(default_factory=dict)
    num_running: int = 0  # after the step
    started_ns: int = 0
    duration_us: int = 0
