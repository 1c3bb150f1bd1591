"""A step's output as messages: one report for the scheduler, one message for each detokenizer."""

from dataclasses import dataclass, field

from services.executor.output import StepOutput
from shared.columns import pack
from shared.messages import Finish, Opening, StepReport, TokenDeltas

# Openings carry earlier output, so that many at once could exceed what the bus takes in one message.
MAX_OPENING_BYTES = 256 << 10


@dataclass(slots=True)
class _Columns:
    """Rows of one TokenDeltas in the making."""

    sequence_ids: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finishes: list[int] = field(default_factory=list)
    openings: list[tuple[int, Opening]] = field(default_factory=list)
    opening_bytes: int = 0


def step_report(output: StepOutput, executor: str) -> StepReport:
    """All rows of the step. Without rows it only acknowledges plans."""
    return StepReport(
        executor=executor,
        epoch=output.epoch,
        plan_epoch=output.plan_epoch,
        plan=output.plan,
        step=output.step,
        sequence_ids=pack(output.sequence_ids),
        lengths=pack(output.lengths),
        counts=pack(output.counts),
        token_ids=pack(output.token_ids),
        finishes=pack(output.finishes),
        duration_us=output.duration_us,
    )


def token_deltas(output: StepOutput, executor: str) -> list[tuple[str, TokenDeltas]]:
    """(detokenizer, its rows) for all rows that have tokens or an end. More than one each only for huge openings."""
    groups: dict[str, _Columns] = {}
    full: list[tuple[str, _Columns]] = []
    start = 0
    for row, count in enumerate(output.counts):
        if count == 0 and output.finishes[row] == Finish.NONE:
            continue
        detokenizer = output.detokenizers[row]
        columns = groups.get(detokenizer)
        if columns is None:
            columns = groups[detokenizer] = _Columns()
        columns.sequence_ids.append(output.sequence_ids[row])
        columns.offsets.append(output.offsets[row])
        columns.counts.append(count)
        columns.token_ids.extend(output.token_ids[start : start + count])
        columns.finishes.append(output.finishes[row])
        start += count
        opening = output.openings.get(row)
        if opening is not None:
            columns.openings.append((output.sequence_ids[row], opening))
            columns.opening_bytes += len(opening.output_ids) + len(opening.context_ids)
            if columns.opening_bytes > MAX_OPENING_BYTES:
                full.append((detokenizer, groups.pop(detokenizer)))
    return [(name, _message(columns, output, executor)) for name, columns in [*full, *groups.items()]]


def _message(columns: _Columns, output: StepOutput, executor: str) -> TokenDeltas:
    return TokenDeltas(
        executor=executor,
        epoch=output.epoch,
        sequence_ids=pack(columns.sequence_ids),
        offsets=pack(columns.offsets),
        counts=pack(columns.counts),
        token_ids=pack(columns.token_ids),
        finishes=pack(columns.finishes),
        openings=tuple(columns.openings),
        plan_epoch=output.plan_epoch,
    )
