"""An engine in process, fed as a scheduler would: whoever finds pages and a place begins."""

import itertools
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.datasets.mixed_lengths import MixedLengths
from xylem.services.executor.engine.engine import Engine
from xylem.shared.protocol import Admit, GenerationParams, Plan, SamplingParams, SequenceStart, StopConditions
from xylem.shared.protocol.columns import pack

Request = tuple[list[int], int]  # prompt, tokens to come

PARAMS = GenerationParams(sampling=SamplingParams(temperature=0.0), stop_conditions=StopConditions(ignore_eos=True))


def mixed_lengths(num_requests: int, *, longest: int, vocab_size: int, seed: int = 0) -> list[Request]:
    """As people's chats have them: log-normal, of means near 220 in and 200 out, cut at `longest`."""
    draw = random.Random(seed)
    mixed = MixedLengths(longest=longest)
    lengths = [mixed.lengths(draw) for _ in range(num_requests)]
    return [(prompt(draw, num_in, vocab_size), num_out) for num_in, num_out in lengths]


def prompt(draw: random.Random, num_tokens: int, vocab_size: int) -> list[int]:
    return [draw.randrange(3, vocab_size) for _ in range(num_tokens)]


@dataclass(frozen=True)
class Rate:
    output_tokens: int
    wall_s: float
    steps: int

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.wall_s


class Feeder:
    """One engine over many loads, one after the other."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._numbers, self._ids = itertools.count(), itertools.count()
        self._free = list(range(engine.runner.num_pages))

    def run(self, requests: Iterable[Request]) -> Rate:
        """All of them, greedily drawn. Nothing of one prompt serves another."""
        waiting, tables = deque(requests), dict[int, list[int]]()
        num_tokens, began_s, steps = 0, time.perf_counter(), 0
        while waiting or tables:
            admits = []
            while waiting and len(tables) < self.engine.max_running and self._room(waiting[0]):
                admits.append(self.admit(*waiting.popleft(), tables))
            if admits:
                self.apply(admits)
            output = self.engine.step()
            steps += 1
            num_tokens += len(output.token_ids)
            for sequence_id, finish in zip(output.sequence_ids, output.finishes, strict=True):
                if finish:
                    self._free += tables.pop(sequence_id)
        return Rate(num_tokens, time.perf_counter() - began_s, steps)

    def apply(self, admits: Sequence[Admit], drops: Iterable[int] = ()) -> None:
        self.engine.apply(
            Plan(
                scheduler="none", epoch=1, number=next(self._numbers), executor_epoch=self.engine.epoch,
                admits=tuple(admits), drops=pack(drops),
            )
        )  # fmt: skip

    def admit(
        self, token_ids: list[int], num_output: int, tables: dict[int, list[int]], *, num_cached: int = 0
    ) -> Admit:
        """With all the pages that it will ever need. num_cached: tokens before it that stand for any."""
        count = self._pages(num_cached + len(token_ids) + num_output)
        sequence_id = next(self._ids)
        tables[sequence_id], self._free = self._free[-count:], self._free[:-count]
        return Admit(
            sequence_id=sequence_id,
            token_ids=pack(token_ids),
            num_cached=num_cached,
            pages=pack(tables[sequence_id]),
            max_new_tokens=num_output,
            offset=0,
            detokenizer="none",
            start=SequenceStart("none", 0, "none", "none", len(token_ids), 0, params=PARAMS),
        )

    def give_back(self, tables: dict[int, list[int]]) -> None:
        for pages in tables.values():
            self._free += pages

    def _pages(self, num_tokens: int) -> int:
        return -(-num_tokens // self.engine.runner.page_size)

    def _room(self, request: Request) -> bool:
        return self._pages(len(request[0]) + request[1]) <= len(self._free)
