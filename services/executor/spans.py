"""The spans of sequences, made from the outside: from plans as they arrive and outputs as they leave.

"prefill": from the step before which the admit was applied to the first token. "decode": from there to the end. Both
are children of the admit's trace. A sequence without a trace costs nothing here.
"""

from dataclasses import dataclass

from xylem.services.executor.engine.step_output import StepOutput
from xylem.shared.protocol import FinishReason, Plan
from xylem.shared.protocol.columns import count, unpack
from xylem.shared.runtime import telemetry


@dataclass(slots=True)
class _Traced:
    """Holds what is known of a sequence so far. Times are Unix ns; 0 is not yet."""

    trace: str
    plan: int
    num_prompt_tokens: int
    num_cached_tokens: int
    applied_ns: int = 0
    first_token_ns: int = 0
    num_chunks: int = 0
    num_output_tokens: int = 0
    num_steps: int = 0

    def record(self, end_ns: int, outcome: str) -> None:
        """Ends the span that the sequence is in."""
        if self.first_token_ns:
            telemetry.record(
                "decode",
                self.trace,
                self.first_token_ns,
                end_ns,
                output_tokens=self.num_output_tokens,
                steps=self.num_steps,
                outcome=outcome,
            )
        elif self.applied_ns:
            telemetry.record(
                "prefill",
                self.trace,
                self.applied_ns,
                end_ns,
                prompt_tokens=self.num_prompt_tokens,
                cached_tokens=self.num_cached_tokens,
                chunks=self.num_chunks,
                outcome=outcome,
            )


class SequenceSpans:
    """The traced sequences of the current plan epoch."""

    def __init__(self) -> None:
        self._traced: dict[int, _Traced] = {}
        self._plan_epoch = -1

    def record_plan(self, plan: Plan, now_ns: int) -> None:
        """Notes the traced admits, and ends the spans of what is dropped."""
        if plan.epoch != self._plan_epoch:
            self._plan_epoch = plan.epoch
            self._traced.clear()
        if self._traced and plan.drops:
            for sequence_id in unpack(plan.drops):
                sequence = self._traced.pop(sequence_id, None)
                if sequence is not None:
                    sequence.record(now_ns, "dropped")
        for admit in plan.admits:
            if admit.start.trace:
                num_tokens = admit.num_cached + count(admit.token_ids)
                self._traced[admit.sequence_id] = _Traced(admit.start.trace, plan.number, num_tokens, admit.num_cached)

    def record_step(self, output: StepOutput) -> None:
        """Moves the traced sequences on by one step."""
        if not self._traced or output.plan_epoch != self._plan_epoch:
            return
        for sequence in self._traced.values():
            if not sequence.applied_ns and sequence.plan <= output.plan:
                sequence.applied_ns = output.started_ns
        end_ns = output.started_ns + output.duration_us * 1000
        for row, sequence_id in enumerate(output.sequence_ids):
            traced = self._traced.get(sequence_id)
            if traced is not None:
                self._move_on(traced, output.counts[row], end_ns)
                if output.finishes[row] != FinishReason.NONE:
                    traced.record(end_ns, FinishReason(output.finishes[row]).name.lower())
                    del self._traced[sequence_id]

    def _move_on(self, traced: _Traced, num_tokens: int, end_ns: int) -> None:
        if traced.first_token_ns:
            traced.num_steps += 1
        else:
            traced.num_chunks += 1
            if num_tokens:
                traced.record(end_ns, "read")
                traced.first_token_ns = end_ns
        traced.num_output_tokens += num_tokens
