"""An executor that keeps to the contract of plans and reports, and computes nothing: time passes as a table says.

Unlike that of tests/services/scheduler/simulation.py, which proves that what it reads through its page table is right,
this one trusts the scheduler, and is fast.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from xylem.shared.protocol import Capacity, FinishReason, Plan, StepReport
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack


@dataclass(frozen=True, slots=True)
class StepCost:
    """Seconds of a step: to read the weights once, and for each token. The default is a 0.5B model on two cores.

    OpenVINO in bfloat16 there makes 19, 158, 384 and 544 tokens/s at batch 1, 8, 32, 64, and reads 1150 tokens/s.
    """

    step_s: float = 0.045
    decoded_s: float = 0.00115
    read_s: float = 0.0008

    def of(self, num_decoded: int, num_read: int) -> float:
        return self.step_s + num_decoded * self.decoded_s + num_read * self.read_s


@dataclass(slots=True)
class Running:
    """A sequence: it reads up to `to_read` tokens, then writes each token that it drew and draws the next one."""

    id: int
    request_id: str
    output: bytes  # column: all that the request will draw
    length: int
    to_read: int
    num_pages: int
    drawn: int  # output tokens of the request


@dataclass(slots=True)
class Step:
    """What one step does."""

    num_read: int = 0
    num_decoded: int = 0
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)  # sequence, length, count, finish
    token_ids: list[bytes] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)  # requests that get their first token
    ended: list[str] = field(default_factory=list)


class SimulatedExecutor:
    """One executor. output_of: the column of tokens that a request will draw, by its id."""

    def __init__(self, name: str, capacity: Capacity, cost: StepCost, output_of: Callable[[str], bytes]) -> None:
        self.name = name
        self.capacity = capacity
        self.epoch = 1
        self.running: dict[int, Running] = {}
        self.plans: deque[Plan] = deque()
        self.num_read = 0
        self._cost = cost
        self._output_of = output_of
        self._plan_epoch = self._plan = -1
        self._num_steps = 0

    def step(self) -> tuple[Step, StepReport, float] | None:
        """Applies the plans that are here and runs a step: its report, and how long it takes. None without work."""
        num_plans = len(self.plans)
        while self.plans:
            self._apply(self.plans.popleft())
        step = self._run()
        if not step.rows and not num_plans:
            return None
        self.num_read += step.num_read
        duration_s = self._cost.of(step.num_decoded, step.num_read) if step.rows else 0.0
        return step, self._report(step), duration_s

    def _report(self, step: Step) -> StepReport:
        ids, lengths, counts, finishes = zip(*step.rows, strict=True) if step.rows else ((), (), (), ())
        number, self._num_steps = self._num_steps, self._num_steps + 1
        return StepReport(
            executor=self.name,
            epoch=self.epoch,
            plan_epoch=self._plan_epoch,
            plan=self._plan,
            step=number,
            sequence_ids=pack(ids),
            lengths=pack(lengths),
            counts=pack(counts),
            token_ids=b"".join(step.token_ids),
            finishes=pack(finishes),
        )

    def _apply(self, plan: Plan) -> None:
        self._plan_epoch, self._plan = plan.epoch, plan.number
        for sequence_id in unpack(plan.drops):
            self.running.pop(sequence_id, None)
        for admit in plan.admits:
            to_read = admit.num_cached + len(admit.token_ids) // ITEM_BYTES
            self.running[admit.sequence_id] = Running(
                admit.sequence_id,
                admit.start.request_id,
                self._output_of(admit.start.request_id),
                admit.num_cached,
                to_read,
                len(admit.pages) // ITEM_BYTES,
                admit.offset,
            )
        for sequence_id, count in zip(unpack(plan.grant_ids), unpack(plan.grant_counts), strict=True):
            if sequence_id in self.running:
                self.running[sequence_id].num_pages += count

    def _run(self) -> Step:
        step, budget, page_size = Step(), self.capacity.token_budget, self.capacity.page_size
        readers: list[Running] = []
        for sequence in list(self.running.values()):
            if sequence.length < sequence.to_read:
                readers.append(sequence)
            elif budget and sequence.length < sequence.num_pages * page_size:
                budget -= 1
                sequence.length += 1
                step.num_decoded += 1
                self._draw(sequence, step)
        for sequence in readers:
            count = min(budget, sequence.to_read - sequence.length)
            if not count:
                break
            budget -= count
            sequence.length += count
            step.num_read += count
            if sequence.length == sequence.to_read:
                self._draw(sequence, step)
            else:
                step.rows.append((sequence.id, sequence.length, 0, FinishReason.NONE))
        return step

    def _draw(self, sequence: Running, step: Step) -> None:
        at = sequence.drawn * ITEM_BYTES
        sequence.drawn += 1
        finish = FinishReason.STOP if at + ITEM_BYTES == len(sequence.output) else FinishReason.NONE
        step.rows.append((sequence.id, sequence.length, 1, finish))
        step.token_ids.append(sequence.output[at : at + ITEM_BYTES])
        if sequence.drawn == 1:
            step.begun.append(sequence.request_id)
        if finish:
            step.ended.append(sequence.request_id)
            del self.running[sequence.id]
