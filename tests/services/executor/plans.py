"""A naive scheduler for tests: hands out pages, writes plans, and remembers what each sequence must produce."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fake_runner import predict
from xylem.services.executor.engine.step_output import StepOutput
from xylem.shared.protocol import (
    Admit,
    FinishReason,
    GenerationParams,
    PageCopy,
    Plan,
    SamplingParams,
    SequenceStart,
    StopConditions,
)
from xylem.shared.protocol.columns import pack

EXECUTOR_EPOCH = 7


def start_of(name: str = "r", scheduler: str = "s", num_prompt_tokens: int = 1, **more: Any) -> SequenceStart:
    return SequenceStart(
        request_id=name,
        attempt=0,
        gateway="g",
        scheduler=scheduler,
        num_prompt_tokens=num_prompt_tokens,
        num_cached_tokens=0,
        **more,
    )


def admit(
    sequence_id: int,
    token_ids: Sequence[int],
    pages: Sequence[int],
    *,
    max_new_tokens: int = 4,
    num_cached: int = 0,
    offset: int = 0,
    detokenizer: str = "d",
    sampling: SamplingParams | None = None,
    ignore_eos: bool = False,
    stop_token_ids: Sequence[int] = (),
    copy: PageCopy | None = None,
    trace: str = "",
) -> Admit:
    params = GenerationParams(
        sampling=sampling or SamplingParams(),
        stop_conditions=StopConditions(ignore_eos=ignore_eos, stop_token_ids=pack(stop_token_ids)),
    )
    return Admit(
        sequence_id=sequence_id,
        token_ids=pack(token_ids),
        num_cached=num_cached,
        pages=pack(pages),
        max_new_tokens=max_new_tokens,
        offset=offset,
        detokenizer=detokenizer,
        start=start_of(f"r{sequence_id}", params=params, trace=trace),
        copy=copy,
    )


def plan(
    number: int,
    *admits: Admit,
    epoch: int = 1,
    executor_epoch: int = EXECUTOR_EPOCH,
    drops: Sequence[int] = (),
    grants: dict[int, Sequence[int]] | None = None,
) -> Plan:
    given = grants or {}
    return Plan(
        scheduler="s",
        epoch=epoch,
        number=number,
        executor_epoch=executor_epoch,
        drops=pack(drops),
        admits=admits,
        grant_ids=pack(given),
        grant_counts=pack(len(pages) for pages in given.values()),
        grant_pages=pack(page for pages in given.values() for page in pages),
    )


@dataclass
class Known:
    """What the scheduler knows of a sequence. table: its pages; token_ids: prompt and output so far."""

    expected: list[int]
    finish: FinishReason
    table: list[int]
    token_ids: list[int]
    num_prompt_tokens: int
    length: int = 0


@dataclass
class NaiveScheduler:
    """Books of pages by counting references. Every public method changes the plan that `next_plan` gives."""

    num_pages: int
    page_size: int
    vocab_size: int
    eos_token_ids: frozenset[int]
    running: dict[int, Known] = field(default_factory=dict)
    references: Counter[int] = field(default_factory=Counter)
    next_id: int = 0
    number: int = 0
    drops: list[int] = field(default_factory=list)
    admits: list[Admit] = field(default_factory=list)
    grants: dict[int, list[int]] = field(default_factory=dict)
    dropped: dict[int, int] = field(default_factory=dict)  # sequence -> number of the plan with its drop
    finished: dict[int, Known] = field(default_factory=dict)

    def allocate(self, count: int) -> list[int] | None:
        """Lowest free pages first, so that freed ones are soon used again."""
        free = [page for page in range(self.num_pages) if self.references[page] == 0][:count]
        if len(free) < count:
            return None
        self.references.update(free)
        return free

    def donors(self) -> list[Known]:
        """Running sequences that have KV to share."""
        return [known for known in self.running.values() if known.length > 0]

    def submit(
        self, prompt: Sequence[int], max_new_tokens: int, sampling: SamplingParams, donor: Known | None = None
    ) -> bool:
        """Admits a prompt, unless memory is short. With a donor it begins with the donor's tokens and uses their KV."""
        num_cached = donor.length if donor else 0
        num_full, num_partial = divmod(num_cached, self.page_size)
        shared = donor.table[:num_full] if donor else []
        token_ids = [*(donor.token_ids[:num_cached] if donor else []), *prompt]
        own = self.allocate(-(-len(token_ids) // self.page_size) - num_full)
        if own is None:
            return False
        copy = PageCopy(donor.table[num_full], own[0], num_partial) if donor and num_partial else None
        self.references.update(shared)
        expected, finish = predict(
            token_ids, max_new_tokens, sampling=sampling, end_ids=self.eos_token_ids, vocab_size=self.vocab_size
        )
        self.admits.append(
            admit(
                self.next_id,
                token_ids[num_cached:],
                shared + own,
                num_cached=num_cached,
                max_new_tokens=max_new_tokens,
                sampling=sampling,
                copy=copy,
            )
        )
        self.running[self.next_id] = Known(expected, finish, shared + own, token_ids, len(token_ids))
        self.next_id += 1
        return True

    def grant(self, sequence_id: int, count: int) -> bool:
        pages = self.allocate(count)
        if pages is None:
            return False
        self.running[sequence_id].table.extend(pages)
        self.grants.setdefault(sequence_id, []).extend(pages)
        return True

    def grant_ahead(self) -> list[int]:
        """A page for each sequence that would stand still; the sequences for which there was none."""
        short = [i for i, known in self.running.items() if len(known.table) * self.page_size <= len(known.token_ids)]
        return [sequence_id for sequence_id in short if not self.grant(sequence_id, 1)]

    def drop(self, sequence_id: int) -> None:
        """Its pages are free at once: plans are applied in order, drops first."""
        self.drops.append(sequence_id)
        self.dropped[sequence_id] = self.number
        self.grants.pop(sequence_id, None)
        self.admits = [waiting for waiting in self.admits if waiting.sequence_id != sequence_id]
        self._free(self.running.pop(sequence_id))

    def next_plan(self) -> Plan:
        result = plan(self.number, *self.admits, drops=self.drops, grants=dict(self.grants))
        self.number += 1
        self.drops, self.admits, self.grants = [], [], {}
        return result

    def hear(self, output: StepOutput) -> None:
        """Checks each row against what the sequence must produce."""
        tokens = iter(output.token_ids)
        for row, sequence_id in enumerate(output.sequence_ids):
            new = [next(tokens) for _ in range(output.counts[row])]
            if sequence_id in self.dropped:
                assert output.plan < self.dropped[sequence_id]
                continue
            known = self.running[sequence_id]
            num_before = len(known.token_ids) - known.num_prompt_tokens
            assert output.offsets[row] == num_before
            assert new == known.expected[num_before : num_before + len(new)]
            known.token_ids.extend(new)
            known.length = output.lengths[row]
            if output.finishes[row]:
                assert output.finishes[row] == known.finish
                assert known.token_ids[known.num_prompt_tokens :] == known.expected
                self.finished[sequence_id] = self.running.pop(sequence_id)
                self.grants.pop(sequence_id, None)
                self._free(known)

    def _free(self, known: Known) -> None:
        self.references.subtract(known.table)
