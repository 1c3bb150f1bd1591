"""A runner without a model, whose tokens show whether pages were used rightly.

Its KV is an array of token ids, one per slot of a page. A step writes the tokens of its rows through their page tables
and then draws each next token as a hash of what it finds through the table again: a wrong page, a missed copy or a page
that someone else wrote gives another token than `predict` says.
"""

import zlib
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from xylem.services.executor.step.logprobs import RowLogprobs
from xylem.services.executor.step.row import PLACEHOLDER_ID, StepRow, fail_row
from xylem.services.executor.structured_output import GrammarFailed, Matcher
from xylem.shared.protocol import FinishReason, LogprobParams, SamplingParams
from xylem.shared.protocol.columns import count

EMPTY = -1


def next_token(token_ids: "array[int]", sampling: SamplingParams, vocab_size: int) -> int:
    """The token that follows token_ids: a pure function of them and, unless greedy, of the seed."""
    key = 0 if sampling.temperature == 0 else 1 + sampling.seed
    return zlib.crc32(token_ids.tobytes(), key & 0xFFFFFFFF) % vocab_size


def predict(
    prompt_ids: Sequence[int],
    max_new_tokens: int,
    *,
    sampling: SamplingParams | None = None,
    end_ids: Collection[int] = (),
    vocab_size: int = 1000,
) -> tuple[list[int], FinishReason]:
    """What a sequence gives when it runs alone: its new tokens and how it ends."""
    token_ids = array("i", prompt_ids)
    new: list[int] = []
    while True:
        token_id = next_token(token_ids, sampling or SamplingParams(), vocab_size)
        token_ids.append(token_id)
        new.append(token_id)
        if token_id in end_ids:
            return new, FinishReason.STOP
        if len(new) >= max_new_tokens:
            return new, FinishReason.LENGTH


@dataclass
class FakeRunner:
    """Satisfies ModelRunner. `steps` counts the steps, `rows` keeps the last step's rows.

    fail_at: the step (from 0) that raises, as a device that breaks. runs_ahead: works like a device with a queue: what
    it is given is done when somebody waits for it, as late as can be, in the order in which it was given.
    """

    num_pages: int = 64
    page_size: int = 4
    vocab_size: int = 1000
    fail_at: int = -1
    runs_ahead: bool = False
    has_head: bool = True
    steps: int = 0
    rows: list[StepRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kv = array("i", [EMPTY]) * (self.num_pages * self.page_size)
        self.last_token: dict[int, int] = {}  # by slot
        self._queue: deque[Callable[[], None]] = deque()

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        start, to = source * self.page_size, target * self.page_size

        def copy() -> None:
            self.kv[to : to + num_tokens] = self.kv[start : start + num_tokens]

        self.enqueue(copy)

    def launch_step(self, rows: Sequence[StepRow]) -> "FakeInFlightStep":
        if self.steps == self.fail_at:
            raise RuntimeError("the device broke")
        self.steps += 1
        self.rows = list(rows)
        # A device does not see what becomes of a row after the launch.
        places = [[*self._slots(row)] for row in rows]
        token_ids = [list(row.token_ids) for row in rows]
        starts = [row.start for row in rows]

        def read() -> None:
            for row, known, start, of_row in zip(rows, token_ids, starts, places, strict=True):
                for slot, token_id in zip(of_row[start:], known, strict=True):
                    assert token_id != PLACEHOLDER_ID or (self.runs_ahead and len(known) == 1)
                    self.kv[slot] = self.last_token[row.slot] if token_id == PLACEHOLDER_ID else token_id
                    assert 0 <= self.kv[slot] < self.vocab_size

        self.enqueue(read)
        return FakeInFlightStep(self, self.rows, places)

    def enqueue(self, work: Callable[[], None]) -> None:
        self._queue.append(work)
        if not self.runs_ahead:
            self.run_until(work)

    def run_until(self, last: Callable[[], None]) -> None:
        """Does what was enqueued up to there. Nothing when that is done already."""
        while last in self._queue:
            self._queue.popleft()()

    def sample(self, row: StepRow, places: Sequence[int]) -> list[int]:
        """Its drawn token, if it draws one. States and scores have the right shapes, and no meaning."""
        known = array("i", [self.kv[slot] for slot in places])
        if row.pooling:
            row.state = array("f", [1.0, float(known[-1] % 7)])
        if row.logprobs is not None:
            row.target_logprobs = [self._scored(row.logprobs) for _ in row.targets]
        if not row.sample:
            return []
        row.sampled_logprobs = None if row.logprobs is None else self._scored(row.logprobs)
        token_id = next_token(known, row.sampling, self.vocab_size)
        matcher = None if row.logits_processor is None else row.logits_processor.matcher
        try:
            self.last_token[row.slot] = token_id if matcher is None else self._allowed(matcher, token_id)
        except GrammarFailed as failed:
            fail_row(row, failed)
            self.last_token[row.slot] = token_id
        return [self.last_token[row.slot]]

    def _scored(self, params: LogprobParams) -> RowLogprobs:
        likely = list(range(params.num_top))
        return RowLogprobs(-1.0, likely, [-1.0] * len(likely), [-2.0] * count(params.token_ids))

    def _allowed(self, matcher: Matcher, token_id: int) -> int:
        """The first token from this one on that the grammar allows."""
        mask = torch.full((1, -(-self.vocab_size // 32)), -1, dtype=torch.int32)
        matcher.fill_mask(mask, 0)
        bits = np.unpackbits(mask[0].numpy().view(np.uint8), bitorder="little")[: self.vocab_size]
        allowed = np.flatnonzero(bits)
        return int(allowed[np.searchsorted(allowed, token_id) % len(allowed)])

    def warm_up(self) -> None:
        pass

    def _slots(self, row: StepRow) -> Iterator[int]:
        """Where the KV of its positions lies. IndexError when no page covers one."""
        for position in range(row.start + len(row.token_ids)):
            page, place = divmod(position, self.page_size)
            yield row.pages[page] * self.page_size + place


class FakeInFlightStep:
    """A step of the fake runner. places: the slots of all known tokens of each row."""

    def __init__(self, runner: FakeRunner, rows: Sequence[StepRow], places: Sequence[Sequence[int]]) -> None:
        self._runner = runner
        self._rows, self._places = rows, places
        self._token_ids: list[int] = []

    def start_sampling(self) -> None:
        self._runner.enqueue(self._sample)

    def _sample(self) -> None:
        for row, places in zip(self._rows, self._places, strict=True):
            self._token_ids += self._runner.sample(row, places)

    def sampled_tokens(self) -> list[int]:
        self._runner.run_until(self._sample)
        return self._token_ids
