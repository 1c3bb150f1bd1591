"""A runner without a model, whose tokens show whether pages were used rightly.

Its KV is an array of token ids, one per slot of a page. A step writes the tokens of its rows through their page tables
and then draws each next token as a hash of what it finds through the table again: a wrong page, a missed copy or a page
that someone else wrote gives another token than `predict` says.
"""

import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from services.executor.runner import Row
from shared.messages import Finish, Sampling

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
        return [
            next_token(array("i", [self.kv[slot] for slot in self._slots(row, 0)]), row.sampling, self.vocab_size)
            for row in rows
            if row.sample
        ]

    def warm_up(self) -> None:
        pass

    def _slots(self, row: Row, first: int) -> Iterator[int]:
        """Where the KV of the positions from `first` to the row's end lies. IndexError when no page covers one."""
        for position in range(first, row.start + len(row.token_ids)):
            page, place = divmod(position, self.page_size)
            yield row.pages[page] * self.page_size + place
