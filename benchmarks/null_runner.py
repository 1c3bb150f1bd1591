"""A runner that answers in zero time: what is left when it runs is the cost of the pipeline around it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from xylem.services.executor.step.row import StepRow


@dataclass
class NullRunner:
    """A ModelRunner of the executor. Every drawn token is the next of a cycle through `token_ids`."""

    num_pages: int
    page_size: int
    vocab_size: int
    token_ids: Sequence[int] = ()  # all of the vocabulary when empty
    runs_ahead: bool = False
    has_head: bool = True
    _tokens: "itertools.cycle[int]" = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = itertools.cycle(self.token_ids or range(self.vocab_size))

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        pass

    def launch_step(self, rows: Sequence[StepRow]) -> "NullStep":
        return NullStep([next(self._tokens) for row in rows if row.sample])

    def warm_up(self) -> None:
        pass


@dataclass
class NullStep:
    token_ids: list[int]

    def start_sampling(self) -> None:
        pass

    def sampled_tokens(self) -> list[int]:
        return self.token_ids
