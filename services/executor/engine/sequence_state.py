"""One sequence that runs: what the executor keeps of it between two steps.

    tokens   [ cached | prompt_ids ............ | drawn ... pending ]
    position 0        num_cached      prompt_len
    KV       [ computed ............ length )
    under way                               [ num_launched )
    pages    [ granted .................. num_granted_tokens )

What others hear of is `length`: the tokens of the steps that are settled. Steps that are launched and not settled have
num_launched more under way: the next step goes on after these. From the first drawn token on, `pending` are the known
tokens at [length, ...): the last drawn one, and after it those that its grammar leaves no choice about. While a token's
draw is under way itself, a step may be launched with it all the same: as PLACEHOLDER_ID.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from xylem.services.executor.engine.gate import Gate
from xylem.services.executor.step.logits_processor import LogitsProcessor, needs_logits_processor
from xylem.services.executor.step.logprobs import RowLogprobs
from xylem.services.executor.step.row import PLACEHOLDER_ID, StepRow
from xylem.shared.protocol import Admit, FinishReason, GenerationParams, SequenceStart
from xylem.shared.protocol.columns import unpack


@dataclass(slots=True)
class SequenceState:
    """State of one sequence. offset: index of its first drawn token among the request's output tokens.

    slot: see StepRow. num_launched: tokens under way. num_awaited: draws under way that will be taken. gates: those not
    open yet.
    """

    sequence_id: int
    prompt_ids: "array[int]"  # the tokens at [num_cached, prompt_len)
    num_cached: int
    prompt_len: int
    length: int
    pages: "array[int]"
    params: GenerationParams
    end_ids: frozenset[int]
    max_new_tokens: int
    offset: int
    detokenizer: str
    start: SequenceStart
    logits_processor: LogitsProcessor | None = None
    slot: int = 1
    num_new: int = 0
    num_launched: int = 0
    num_awaited: int = 0
    gates: list[Gate] = field(default_factory=list)
    pending: "array[int]" = field(default_factory=lambda: array("i"))
    forced_prefix: list[int] = field(default_factory=list)  # its first tokens, where its grammar leaves no choice
    prompt_logprobs: list[RowLogprobs] = field(default_factory=list)  # of the prompt's tokens that were read so far
    pooled: "array[float] | None" = None  # the last state, or the sum of those so far

    @classmethod
    def from_admit(cls, admit: Admit, eos_token_ids: frozenset[int], vocab_size: int) -> "SequenceState":
        """The sequence of an admit, before its first step. Raises ValueError for a broken column."""
        prompt_ids = unpack(admit.token_ids)
        params = admit.start.params
        stops = params.stop_conditions
        stop_ids = frozenset(id for id in unpack(stops.stop_token_ids) if 0 <= id < vocab_size)
        # A complete grammar has only its end left, wanted or not.
        end_ids = stop_ids if stops.ignore_eos and params.grammar is None else stop_ids | eos_token_ids
        processor = None
        if needs_logits_processor(admit):
            processor = LogitsProcessor(admit, end_ids=end_ids, eos_token_ids=eos_token_ids)
        return cls(
            sequence_id=admit.sequence_id,
            prompt_ids=prompt_ids,
            num_cached=admit.num_cached,
            prompt_len=admit.num_cached + len(prompt_ids),
            length=admit.num_cached,
            pages=unpack(admit.pages),
            params=params,
            end_ids=end_ids,
            max_new_tokens=admit.max_new_tokens,
            offset=admit.offset,
            detokenizer=admit.detokenizer,
            start=admit.start,
            logits_processor=processor,
        )

    @property
    def is_prefilling(self) -> bool:
        """Whether prompt tokens are left for a next step."""
        return self.length + self.num_launched < self.prompt_len

    @property
    def is_prefilled(self) -> bool:
        """Whether all of the prompt is computed."""
        return self.length >= self.prompt_len

    @property
    def num_ready(self) -> int:
        """Tokens that the next step may have. The last one of a prompt waits for all gates."""
        unread = self.prompt_len - self.length - self.num_launched
        if unread > 0:
            return unread if not self.gates else self._num_before_gates(unread)
        known = len(self.pending) - self.num_launched
        if known > 0:
            return known
        # Whether a draw under way ends the sequence by its number is certain, whether by its token is seen too late.
        return int(self.num_awaited > 0 and self.num_new + self.num_awaited < self.max_new_tokens)

    @property
    def has_forced_next_token(self) -> bool:
        """Whether the grammar already fixes the next token: its sampling is skipped."""
        return len(self.pending) > self.num_launched

    @property
    def num_reported(self) -> int:
        """Its tokens that others know of, once all of these are computed."""
        return max(0, self.length - self.prompt_len)

    def num_granted_tokens(self, page_size: int) -> int:
        """Tokens that the granted pages still take."""
        return len(self.pages) * page_size - self.length - self.num_launched

    def launch_row(self, num_tokens: int) -> StepRow:
        """Its next num_tokens tokens as a row of a step."""
        start = self.length + self.num_launched
        if start < self.prompt_len:
            first = start - self.num_cached
            token_ids: Sequence[int] = self.prompt_ids[first : first + num_tokens]
            last = start + num_tokens == self.prompt_len
            sample = last and not self.params.pooling and not self.forced_prefix
            row = StepRow(token_ids, start, self.pages, sample, self.params.sampling, slot=self.slot)
            row.pooling = self.params.pooling
            self._request_prompt_logprobs(row)
        else:
            known = self.num_launched + num_tokens
            token_ids = self.pending[self.num_launched : known] or (PLACEHOLDER_ID,)
            sample = known >= len(self.pending)
            row = StepRow(token_ids, start, self.pages, sample, self.params.sampling, slot=self.slot)
        if sample:
            row.logprobs, row.logits_processor = self.params.logprobs, self.logits_processor
            self.num_awaited += 1
        self.num_launched += num_tokens
        return row

    def finish_row(self, row: StepRow) -> None:
        """A step with this row is done, but for its drawn token."""
        num_tokens = len(row.token_ids)
        if row.start >= self.prompt_len:
            del self.pending[:num_tokens]
        self.length += num_tokens
        self.num_launched -= num_tokens
        self.num_awaited -= row.sample
        self.prompt_logprobs.extend(row.target_logprobs)

    def _request_prompt_logprobs(self, row: StepRow) -> None:
        """Has the prompt's tokens scored that follow the tokens of the row."""
        logprobs = self.params.logprobs
        if logprobs is None or logprobs.prompt_from < 0:
            return
        row.logprobs = logprobs
        row.first_target = max(0, logprobs.prompt_from - 1 - row.start)
        following = row.start + 1 - self.num_cached
        row.targets = self.prompt_ids[following + row.first_target : following + len(row.token_ids)]

    def _num_before_gates(self, unread: int) -> int:
        return unread - 1 if all(gate.allows_prefill for gate in self.gates) else 0

    def can_open_gate(self) -> bool:
        """Whether the work of a gate is done."""
        return any(gate.is_done() for gate in self.gates)

    def open_gates(self) -> None:
        """Opens the gates whose work is done. Raises SequenceFailed when one of them failed."""
        for gate in [gate for gate in self.gates if gate.is_done()]:
            gate.open_for(self)
            self.gates.remove(gate)
        if not self.gates:
            self.forced_prefix = self._forced()

    def accept_forced_prefix(self) -> tuple[list[int], FinishReason]:
        """Takes the tokens that its grammar begins with, and says whether the last of them ends the sequence."""
        taken, finish = self._take(self.forced_prefix)
        self.forced_prefix = []
        self.pending.extend(taken)
        return taken, finish

    def accept_token(self, token_id: int) -> tuple[list[int], FinishReason]:
        """Takes the token that was drawn after all known ones.

        Returns it with those that its grammar has follow it, and whether the last of them ends the sequence.
        """
        taken, finish = self._take([token_id])
        if not finish:
            more, finish = self._take(self._forced())
            taken += more
        self.pending.extend(taken)
        return taken, finish

    def _take(self, token_ids: list[int]) -> tuple[list[int], FinishReason]:
        for place, token_id in enumerate(token_ids):
            finish = self._ends_with(token_id)
            if finish:
                return token_ids[: place + 1], finish
        return token_ids, FinishReason.NONE

    def _ends_with(self, token_id: int) -> FinishReason:
        self.num_new += 1
        if self.logits_processor is not None:
            self.logits_processor.accept_token(token_id)
        if token_id in self.end_ids or (self.logits_processor is not None and self.logits_processor.is_finished):
            return FinishReason.STOP
        return FinishReason.LENGTH if self.num_new >= self.max_new_tokens else FinishReason.NONE

    def _forced(self) -> list[int]:
        """Without the model; tokens that are scored come from it, all of them."""
        if self.logits_processor is None or self.params.logprobs is not None:
            return []
        return self.logits_processor.find_forced_tokens(self.max_new_tokens - self.num_new)
