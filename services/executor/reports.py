"""A step's output as messages: one report for the scheduler, one message for each detokenizer."""

import math
from dataclasses import dataclass, field

from xylem.services.executor.engine.step_output import StepOutput
from xylem.shared.protocol import Embedded, Logprobs, Refused, SequenceStart, StepReport, TokenDeltas
from xylem.shared.protocol.columns import pack, pack_floats

# Starts carry earlier output, and scores many numbers: many at once could exceed what the bus takes in one message.
MAX_EXTRA_BYTES = 256 << 10


@dataclass(slots=True)
class _Columns:
    """Rows of one TokenDeltas in the making."""

    sequence_ids: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finishes: list[int] = field(default_factory=list)
    starts: list[tuple[int, SequenceStart]] = field(default_factory=list)
    logprobs: list[tuple[int, Logprobs]] = field(default_factory=list)
    prompt_logprobs: list[tuple[int, Logprobs]] = field(default_factory=list)
    extra_bytes: int = 0  # of starts and scores


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
    """(detokenizer, its rows) for all rows that have tokens. More than one each only for huge starts and scores."""
    groups: dict[str, _Columns] = {}
    full: list[tuple[str, _Columns]] = []
    first = 0
    for row, count in enumerate(output.counts):
        if count == 0 and row not in output.broken:
            continue
        detokenizer = output.detokenizers[row]
        columns = groups.get(detokenizer)
        if columns is None:
            columns = groups[detokenizer] = _Columns()
        columns.sequence_ids.append(output.sequence_ids[row])
        columns.offsets.append(output.offsets[row])
        columns.counts.append(count)
        columns.token_ids.extend(output.token_ids[first : first + count])
        columns.finishes.append(output.finishes[row])
        first += count
        start = output.starts.get(row)
        if start is not None:
            columns.starts.append((output.sequence_ids[row], start))
            columns.extra_bytes += len(start.output_ids) + len(start.context_ids)
        for found, scores in ((output.logprobs, columns.logprobs), (output.prompt_logprobs, columns.prompt_logprobs)):
            if row in found:
                scores.append((len(columns.sequence_ids) - 1, found[row]))
                columns.extra_bytes += _num_bytes(found[row])
        if columns.extra_bytes > MAX_EXTRA_BYTES:
            full.append((detokenizer, groups.pop(detokenizer)))
    return [(name, _message(columns, output, executor)) for name, columns in [*full, *groups.items()]]


def gateway_answers(output: StepOutput) -> list[tuple[str, Refused | Embedded]]:
    """(gateway, what it is told) of sequences that end without a token."""
    told: list[tuple[str, Refused | Embedded]] = []
    for start, failed in output.refused:
        refused = Refused(start.request_id, start.attempt, failed.code, str(failed), failed.param)
        told.append((start.gateway, refused))
    for start, state in output.embedded:
        length = math.sqrt(sum(value * value for value in state)) or 1.0
        embedded = Embedded(
            request_id=start.request_id,
            attempt=start.attempt,
            vector=pack_floats([value / length for value in state]),
            num_prompt_tokens=start.num_prompt_tokens,
            num_cached_tokens=start.num_cached_tokens,
        )
        told.append((start.gateway, embedded))
    return told


def _message(columns: _Columns, output: StepOutput, executor: str) -> TokenDeltas:
    return TokenDeltas(
        executor=executor,
        epoch=output.epoch,
        sequence_ids=pack(columns.sequence_ids),
        offsets=pack(columns.offsets),
        counts=pack(columns.counts),
        token_ids=pack(columns.token_ids),
        finishes=pack(columns.finishes),
        starts=tuple(columns.starts),
        scores=tuple(columns.logprobs),
        prompt_scores=tuple(columns.prompt_logprobs),
        plan_epoch=output.plan_epoch,
    )


def _num_bytes(scores: Logprobs) -> int:
    return 2 * len(scores.top_ids) + 2 * len(scores.logprobs) + len(scores.asked_logprobs)
