"""The engine: applies plans and makes steps. Pure and synchronous: no bus, no clock, no thread of its own.

A step is launched (who takes part, and the forward pass), drawn and settled (its tokens are taken and told). With a
runner that runs ahead, each step is settled after the next one was launched:

    device   | forward n     |draw| forward n+1   |draw|
    host       settle n-1, draw n   settle n, draw n+1

so that what the host does with the tokens of one step hides behind the forward pass of the next, and is done before
that draws. What came to an end meanwhile takes part once too often: its draw is not wanted, and the KV that it has
written lies in pages which were its own when the step was launched. Whoever gets them next writes them later.
"""

import logging
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xylem.services.executor.engine.admission_check import check_range, check_request, without_params
from xylem.services.executor.engine.gate import ClosedGate, GateFactory
from xylem.services.executor.engine.integrity import find_faults
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.engine.step_output import StepOutput
from xylem.services.executor.engine.step_schedule import schedule_step
from xylem.services.executor.failures import MODEL_FAILURE, SequenceFailed, as_failure
from xylem.services.executor.step.logprobs import logprobs_message, unknown_logprobs
from xylem.services.executor.step.row import StepRow
from xylem.services.executor.step.runner_interface import InFlightStep, ModelRunner
from xylem.shared.protocol import Admit, FinishReason, Logprobs, PageCopy, Plan
from xylem.shared.protocol.columns import INT32_MAX, count, unpack

log = logging.getLogger(__name__)

NO_EPOCH = -1  # the epoch of an engine that takes no plan
NO_PLAN = -1


class PlanGap(Exception):
    """A plan that does not follow from what was applied before. Only a reset mends it."""


class SequenceIntegrityError(Exception):
    """The engine's books contradict themselves; the message lists how."""


@dataclass(slots=True)
class _EngineStep:
    """A step that was launched: who takes part with which row, and the runner's side of it."""

    turns: list[tuple[SequenceState, StepRow]]
    in_flight: InFlightStep


class Engine:
    """The sequences that may run, and the step that moves them on.

    max_running: sequences at once. token_budget: tokens of one step. context_length: positions that the model has.
    gates: each makes the readiness gate of a sequence, if it needs one. epoch: the life that plans must name.
    """

    def __init__(
        self,
        runner: ModelRunner,
        *,
        max_running: int,
        token_budget: int,
        eos_token_ids: Iterable[int],
        gates: Sequence[GateFactory] = (),
        context_length: int = INT32_MAX,
        epoch: int = NO_EPOCH,
    ) -> None:
        self.runner = runner
        self.max_running = max_running
        self.token_budget = token_budget
        self.context_length = context_length
        self.eos_token_ids = frozenset(id for id in eos_token_ids if 0 <= id < runner.vocab_size)
        self._gate_factories = gates
        self._running: dict[int, SequenceState] = {}  # in order of admission
        self.reset(epoch)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def reset(self, epoch: int) -> None:
        """Forgets everything and begins another life; in NO_EPOCH every plan is ignored."""
        self._forget_all()
        self._under_way: _EngineStep | None = None
        self.epoch = epoch
        self.plan_epoch = NO_PLAN
        self.plan_number = NO_PLAN
        self.num_steps = 0

    def has_work(self) -> bool:
        """Whether a step would move any sequence, or is under way."""
        page_size = self.runner.page_size
        return self._under_way is not None or any(
            min(sequence.num_ready, sequence.num_granted_tokens(page_size)) > 0
            or (sequence.gates and sequence.can_open_gate())
            for sequence in self._running.values()
        )

    def step(self) -> StepOutput:
        """Settles the step that is under way, or a new one, and forgets who is finished."""
        output = StepOutput(self.epoch, self.plan_epoch, self.plan_number, self.num_steps)
        self.num_steps += 1
        self._open_gates(output)
        step = self._still_wanted(self._under_way) or self._begin_step()
        following = self._launch() if self.runner.runs_ahead else None
        if step is not None:
            self._settle(step, output)
        self._under_way = self._start_sampling(following)
        output.num_running = len(self._running)
        return output

    def _begin_step(self) -> _EngineStep | None:
        """A step that nothing went before."""
        step = self._launch()
        if step is not None:
            step.in_flight.start_sampling()
        return step

    def _launch(self) -> _EngineStep | None:
        """Has the pending tokens of who decodes and the next chunks of prompts computed."""
        chosen = schedule_step(self._running.values(), page_size=self.runner.page_size, token_budget=self.token_budget)
        turns = [(sequence, sequence.launch_row(num_tokens)) for sequence, num_tokens in chosen]
        return _EngineStep(turns, self.runner.launch_step([row for _, row in turns])) if turns else None

    def _start_sampling(self, step: _EngineStep | None) -> _EngineStep | None:
        """Starts sampling for the in-flight step, skipping finished sequences."""
        step = self._still_wanted(step)
        if step is None:
            return None
        for sequence, row in step.turns:
            if row.sample and (sequence.has_forced_next_token or not self._runs(sequence)):
                row.sample = False
                sequence.num_awaited -= 1
        step.in_flight.start_sampling()
        return step

    def _still_wanted(self, step: _EngineStep | None) -> _EngineStep | None:
        """None in place of a step in which nobody runs any more."""
        return step if step is not None and any(self._runs(sequence) for sequence, _ in step.turns) else None

    def _runs(self, sequence: SequenceState) -> bool:
        """Whether it is still the one of its name: it may have finished or been dropped, and the name be another's."""
        return self._running.get(sequence.sequence_id) is sequence

    def _settle(self, step: _EngineStep, output: StepOutput) -> None:
        """Takes and tells what the step has found."""
        drawn = iter(step.in_flight.sampled_tokens())
        for sequence, row in step.turns:
            token_id = next(drawn) if row.sample else None
            if not self._runs(sequence):
                continue
            sequence.finish_row(row)
            try:
                if row.failure is not None:
                    raise row.failure
                if token_id is not None:
                    self._report_tokens(output, sequence, row, *sequence.accept_token(token_id))
                elif sequence.forced_prefix and sequence.is_prefilled:
                    self._report_tokens(output, sequence, row, *sequence.accept_forced_prefix())
                elif sequence.params.pooling:
                    self._report_state(output, sequence, row)
                else:
                    output.add_row(sequence, [], FinishReason.NONE)
            except Exception as error:
                self._fail(output, sequence, error)

    def _open_gates(self, output: StepOutput) -> None:
        """Opens the gates whose work is done, and ends the sequences whose gates failed."""
        for sequence in [each for each in self._running.values() if each.gates]:
            try:
                sequence.open_gates()
            except Exception as error:
                self._fail(output, sequence, error)

    def _fail(self, output: StepOutput, sequence: SequenceState, error: Exception) -> None:
        """Ends a sequence: its gateway is told why, or its detokenizer that it ends, once there were tokens.

        That the model has failed the gateway hears in any case: it counts that.
        """
        failed = as_failure(error)
        is_ours = failed.code != "invalid_request"
        log.log(
            logging.ERROR if is_ours else logging.INFO,
            "request %s ends: %s",
            sequence.start.request_id,
            failed,
            exc_info=error if failed is not error else None,
        )
        if sequence.num_reported:
            output.broken.add(len(output.sequence_ids))
        if not sequence.num_reported or failed.code == MODEL_FAILURE:
            output.refused.append((sequence.start, failed))
        output.add_row(sequence, [], FinishReason.ERROR, sequence.offset + sequence.num_reported)
        self._forget(sequence)

    def _report_tokens(
        self, output: StepOutput, sequence: SequenceState, row: StepRow, token_ids: list[int], finish: FinishReason
    ) -> None:
        index = len(output.sequence_ids)
        first = sequence.num_new - len(token_ids)
        # All that may fail goes first: what is in the output by then would stand for another sequence.
        start = sequence.start.for_detokenizer() if first == 0 else None
        prompt_scores = _prompt_scores(sequence) if first == 0 and sequence.prompt_logprobs else None
        scores = None if row.sampled_logprobs is None else logprobs_message([row.sampled_logprobs])
        if start is not None:
            output.starts[index] = start
        if prompt_scores is not None:
            output.prompt_logprobs[index] = prompt_scores
        if scores is not None:
            output.logprobs[index] = scores
        output.add_row(sequence, token_ids, finish, sequence.offset + first)
        if finish is not FinishReason.NONE:
            self._forget(sequence)

    def _report_state(self, output: StepOutput, sequence: SequenceState, row: StepRow) -> None:
        assert row.state is not None
        if sequence.pooled is None or sequence.params.pooling == "last":
            sequence.pooled = row.state
        else:
            sequence.pooled = array("f", map(float.__add__, sequence.pooled, row.state))
        if not sequence.is_prefilled:
            output.add_row(sequence, [], FinishReason.NONE)
            return
        output.embedded.append((sequence.start, sequence.pooled))
        output.add_row(sequence, [], FinishReason.STOP)
        self._forget(sequence)

    def _forget(self, sequence: SequenceState) -> None:
        del self._running[sequence.sequence_id]
        self._free_slots.append(sequence.slot)

    def _forget_all(self) -> None:
        self._running.clear()
        self._free_slots = list(range(self.max_running, 0, -1))

    def apply(self, plan: Plan) -> bool:
        """Takes drops, then admits with their page copies, then grants.

        False when the plan is meant for another life of this executor. Raises PlanGap when it does not follow the last
        one, or asks for what can't be; then some of it may have been taken, and the caller must reset.
        """
        if plan.executor_epoch != self.epoch:
            return False
        if plan.number == 0 and plan.epoch != self.plan_epoch:
            self._forget_all()
        elif plan.epoch != self.plan_epoch or plan.number != self.plan_number + 1:
            last = f"plan {self.plan_number} of epoch {self.plan_epoch}"
            raise PlanGap(f"plan {plan.number} of epoch {plan.epoch} came after {last}")
        self.plan_epoch, self.plan_number = plan.epoch, plan.number
        try:
            for sequence_id in unpack(plan.drops):
                if sequence_id in self._running:  # it may have finished meanwhile
                    self._forget(self._running[sequence_id])
            for admit in plan.admits:
                self._admit(admit)
            self._grant(plan)
        except ValueError as error:
            raise PlanGap(f"plan {plan.number} can't be applied: {error}") from None
        return True

    def _admit(self, admit: Admit) -> None:
        sequence, failure = self._begin(admit)
        if sequence.sequence_id in self._running:
            raise ValueError(f"sequence {sequence.sequence_id} runs already")
        if len(self._running) >= self.max_running:
            raise ValueError(f"more than {self.max_running} sequences")
        if not sequence.prompt_ids:
            raise ValueError(f"sequence {sequence.sequence_id} has nothing to read")
        check_range("page", sequence.pages, self.runner.num_pages)
        if not 0 <= sequence.num_cached <= len(sequence.pages) * self.runner.page_size:
            raise ValueError(f"{sequence.num_cached} cached tokens in {len(sequence.pages)} pages")
        room = self.context_length - sequence.prompt_len
        if room < 1:
            raise ValueError(f"{sequence.prompt_len} tokens leave no room in a context of {self.context_length}")
        sequence.max_new_tokens = min(sequence.max_new_tokens, room)
        if admit.offset + max(admit.max_new_tokens, 1) > INT32_MAX:
            raise ValueError(f"output tokens from {admit.offset} on don't fit into a column")
        if admit.copy is not None:
            self._copy(admit.copy)
        logprobs = sequence.params.logprobs
        if logprobs is not None and logprobs.prompt_from == 0:
            if sequence.num_cached:
                raise ValueError("cached tokens can't be scored")
            sequence.prompt_logprobs.append(unknown_logprobs(logprobs, count(logprobs.token_ids)))
        if failure is None:
            made = [make_gate(admit, sequence) for make_gate in self._gate_factories]
            sequence.gates = [gate for gate in made if gate is not None]
        else:
            sequence.gates = [ClosedGate(failure)]
        sequence.slot = self._free_slots.pop()
        self._running[sequence.sequence_id] = sequence

    def _begin(self, admit: Admit) -> tuple[SequenceState, SequenceFailed | None]:
        """Returns the sequence, and what ends it if the request asks for what can't be computed.

        That is the fault of one request, and must not cost the others their plan.
        """
        try:
            check_request(admit, self.runner.vocab_size)
            return SequenceState.from_admit(admit, self.eos_token_ids, self.runner.vocab_size), None
        except ValueError as error:
            failure = SequenceFailed(f"the executor can't compute this request: {error}")
            return SequenceState.from_admit(without_params(admit), self.eos_token_ids, self.runner.vocab_size), failure

    def _copy(self, copy: PageCopy) -> None:
        check_range("page", (copy.source, copy.target), self.runner.num_pages)
        if not 0 < copy.num_tokens <= self.runner.page_size:
            raise ValueError(f"a copy of {copy.num_tokens} tokens of a page")
        self.runner.copy_page(copy.source, copy.target, copy.num_tokens)

    def _grant(self, plan: Plan) -> None:
        pages = unpack(plan.grant_pages)
        check_range("page", pages, self.runner.num_pages)
        start = 0
        for sequence_id, num_pages in plan.grants():
            sequence = self._running.get(sequence_id)
            if sequence is not None:  # it may have finished meanwhile
                sequence.pages.extend(pages[start : start + num_pages])
            start += num_pages
        if start != len(pages):
            raise ValueError(f"grants of {start} pages came with {len(pages)}")

    def num_held_pages(self) -> int:
        """Distinct pages in the tables of the sequences that run."""
        return len({page for sequence in self._running.values() for page in sequence.pages})

    def check_integrity(self) -> None:
        """Raises SequenceIntegrityError when the books contradict themselves."""
        found = find_faults(self._running.values(), page_size=self.runner.page_size)
        if len(self._running) > self.max_running:
            found.append(f"{len(self._running)} sequences run, {self.max_running} may")
        if found:
            raise SequenceIntegrityError("; ".join(found))


def _prompt_scores(sequence: SequenceState) -> Logprobs:
    scored_from = sequence.prompt_len - len(sequence.prompt_logprobs) - sequence.num_cached
    return logprobs_message(sequence.prompt_logprobs, sequence.prompt_ids[scored_from:])
