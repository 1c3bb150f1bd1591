"""A runner without a model, whose tokens show whether pages were used rightly.

Its KV is an array of token ids, one per slot of a page. A step writes the tokens of its rows through their page tables
and then draws each next token as a hash of what it finds through the table again: a wrong page, a missed copy or a page
that someone else wrote gives another token than `predict` says.
"""

import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from services.executor.grammar import Matcher
from services.executor.row import Row
from services.executor.scores import Scored
from shared.columns import count
from shared.messages import Finish, Sampling, Scoring

EMPTY = -1


def next_token(token_ids: "array[int]", sampling: Sampling, vocab_size: int) -> int:
    """The token that follows token_ids: a pure function of them and, unless greedy, of the seed."""
    key = 0 if sampling.temperature == 0 else 1 + sampling.seed
    return zlib.crc32(token_ids.tobytes(), key & 0xFFFFFFFF) % vocab_size


def predict(
    prompt_ids: Sequence[int],
    max_new_tokens: int,
    *,
    sampling: Sampling | None = None,
    end_ids: Collection[int] = (),
    vocab_size: int = 1000,
) -> tuple[list[int], Finish]:
    """What a sequence gives when it runs alone: its new tokens and how it ends."""
    token_ids = array("i", prompt_ids)
    new: list[int] = []
    while True:
        token_id = next_token(token_ids, sampling or Sampling(), vocab_size)
        token_ids.append(token_id)
        new.append(token_id)
        if token_id in end_ids:
            return new, Finish.STOP
        if len(new) >= max_new_tokens:
            return new, Finish.LENGTH


@dataclass
class FakeRunner:
    """Satisfies services.executor.engine.StepRunner. `steps` counts the steps, `rows` keeps the last step's rows.

    fail_at: the step (from 0) that raises, as a device that breaks.
    """

    num_pages: int = 64
    page_size: int = 4
    vocab_size: int = 1000
    fail_at: int = -1
    steps: int = 0
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kv = array("i", [EMPTY]) * (self.num_pages * self.page_size)

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        start, to = source * self.page_size, target * self.page_size
        self.kv[to : to + num_tokens] = self.kv[start : start + num_tokens]

    def step(self, rows: Sequence[Row]) -> list[int]:
        if self.steps == self.fail_at:
            raise RuntimeError("the device broke")
        self.steps += 1
        self.rows = list(rows)
        for row in rows:
            for slot, token_id in zip(self._slots(row, row.start), row.token_ids, strict=True):
                assert 0 <= token_id < self.vocab_size
                self.kv[slot] = token_id
        return [token_id for row in rows for token_id in self._compute(row)]

    def _compute(self, row: Row) -> Iterator[int]:
        """Its drawn token, if it draws one. States and scores have the right shapes, and no meaning."""
        known = array("i", [self.kv[slot] for slot in self._slots(row, 0)])
        if row.pooling:
            row.state = array("f", [1.0, float(known[-1] % 7)])
        if row.scoring is not None:
            row.target_scores = [self._scored(row.scoring) for _ in row.targets]
        if row.sample:
            row.scored = None if row.scoring is None else self._scored(row.scoring)
            token_id = next_token(known, row.sampling, self.vocab_size)
            yield token_id if row.matcher is None else self._allowed(row.matcher, token_id)

    def _scored(self, scoring: Scoring) -> Scored:
        likely = list(range(scoring.num_top))
        return Scored(-1.0, likely, [-1.0] * len(likely), [-2.0] * count(scoring.token_ids))

    def _allowed(self, matcher: Matcher, token_id: int) -> int:
        """The first token from this one on that the grammar allows."""
        mask = torch.full((1, -(-self.vocab_size // 32)), -1, dtype=torch.int32)
        matcher.fill(mask, 0)
        bits = np.unpackbits(mask[0].numpy().view(np.uint8), bitorder="little")[: self.vocab_size]
        allowed = np.flatnonzero(bits)
        return int(allowed[np.searchsorted(allowed, token_id) % len(allowed)])

    def warm_up(self) -> None:
        pass

    def _slots(self, row: Row, first: int) -> Iterator[int]:
        """Where the KV of the positions from `first` to the row's end lies. IndexError when no page covers one."""
        for position in range(first, row.start + len(row.token_ids)):
            page, place = divmod(position, self.page_size)
            yield row.pages[page] * self.page_size + place
