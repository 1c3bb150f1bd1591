"""Admission: which waiting requests start in this step, and on which executor."""

from collections import Counter

from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.kv_cache.radix_node import PrefixMatch, common_prefix
from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.request import Request, Sequence
from xylem.shared.protocol import Admit, PageCopy, SequenceStart
from xylem.shared.protocol.columns import ITEM_BYTES, pack

# Prompt tokens before the output that a detokenizer gets: enough for it to join characters across the border.
CONTEXT_TOKENS = 8
# Size of an admit beside its columns and strings.
ADMIT_BYTES = 1024

Placement = tuple[int, str, ExecutorState, tuple[Sequence, int] | None]
"""Cost in tokens, executor id, its state, and the sequence that prefills the request's prefix there with its pages."""


def can_admit(executor_state: ExecutorState, policy: SchedulerPolicy) -> bool:
    """Whether an executor can take any request now."""
    capacity = executor_state.capacity
    return (
        executor_state.accepting
        and executor_state.on_probation is None
        and len(executor_state.running) < capacity.max_running
        and executor_state.num_pending_prefill_tokens < policy.max_pending_prefill_steps * capacity.token_budget
        and executor_state.plan_builder.num_bytes < policy.max_plan_bytes
    )


def max_new_tokens(request: Request, executor_state: ExecutorState) -> int:
    """Returns how many tokens the request may still decode, by its own limit and by what the whole pool can hold.

    The last token decoded needs no KV. Below 1 the prompt itself does not fit.
    """
    room = executor_state.page_allocator.num_pages * executor_state.page_size - request.num_tokens + 1
    max_tokens = request.params.stop_conditions.max_tokens
    return room if max_tokens < 0 else min(room, max_tokens - request.num_outputs)


def admit_bytes(request: Request, page_size: int) -> int:
    """Estimates the size of the request in a plan in bytes; rather too high than too low."""
    params = request.params
    tokens = request.num_tokens * (1 + 1 / page_size) + request.num_outputs
    stops, sampling = params.stop_conditions, params.sampling
    strings = sum(len(text) * 4 for text in (*stops.stop, *stops.stop_regex)) + len(stops.stop_token_ids)
    strings += len(sampling.bias_ids) + len(sampling.bias_values)
    if params.grammar is not None:
        strings += len(params.grammar.text.encode())
    if sampling.repetition_penalty != 1.0:
        tokens += request.num_prompt
    return ADMIT_BYTES + strings + int(tokens) * ITEM_BYTES


class AdmissionRound:
    """One round of admission in a step. Prefix matches are measured once: admitting adds nothing to a radix tree."""

    def __init__(self, executor_states: list[ExecutorState], policy: SchedulerPolicy, now: float) -> None:
        self._executor_states = executor_states
        self._policy = policy
        self._now = now
        self.candidates = [each for each in executor_states if can_admit(each, policy)]
        self._num_failed: Counter[str] = Counter()
        self._matches: dict[tuple[str, str], PrefixMatch] = {}

    def num_cached(self, request: Request) -> int:
        """Returns the tokens of the request's longest cached prefix on any candidate."""
        return max((self._match(request, each).num_tokens for each in self.candidates), default=0)

    def try_admit(self, request: Request, sequence_id: int) -> Sequence | None:
        """Admits the request where it costs least. Returns None when it waits for memory or for a prefix in flight."""
        for _, _, executor_state, source in self._placements(request):
            if source is not None:
                request.prefix_source = source
                return None
            size = admit_bytes(request, executor_state.page_size)
            planned = executor_state.plan_builder.num_bytes
            if planned and planned + size > self._policy.max_plan_bytes:
                continue
            sequence = self._start_sequence(request, executor_state, sequence_id, size)
            if sequence is not None:
                if not can_admit(executor_state, self._policy):
                    self.candidates.remove(executor_state)
                return sequence
            self._num_failed[executor_state.executor_id] += 1
            if self._num_failed[executor_state.executor_id] == self._policy.max_failed_admissions:
                self.candidates.remove(executor_state)
        return None

    def reserve_for(self, request: Request) -> None:
        """Removes the candidates that could run this aged request: no younger one is admitted before it there."""
        self.candidates = [each for each in self.candidates if max_new_tokens(request, each) < 1]

    def _placements(self, request: Request) -> list[Placement]:
        """The candidates that could run the request, cheapest first."""
        max_tokens = request.params.stop_conditions.max_tokens - request.num_outputs
        whole = [
            each for each in self._executor_states if each.accepting and max_new_tokens(request, each) >= max_tokens
        ]
        found: list[Placement] = []
        for executor_state in self.candidates:
            # An executor that can't let it run to its limit takes it only if all are as small.
            if max_new_tokens(request, executor_state) < 1 or (whole and executor_state not in whole):
                continue
            match = self._match(request, executor_state)
            source = _prefilling_sequence(request, executor_state, match)
            num_known = match.num_tokens if source is None else source[1] * executor_state.page_size
            load = executor_state.num_pending_prefill_tokens
            load += self._policy.running_cost_tokens * len(executor_state.running)
            found.append((request.num_tokens - num_known + load, executor_state.executor_id, executor_state, source))
        return sorted(found, key=lambda placement: placement[:2])

    def _match(self, request: Request, executor_state: ExecutorState) -> PrefixMatch:
        key = (request.id, executor_state.executor_id)
        match = self._matches.get(key)
        if match is None:
            match = self._matches[key] = _match_prefix(request, executor_state)
        return match

    def _start_sequence(
        self, request: Request, executor_state: ExecutorState, sequence_id: int, size: int
    ) -> Sequence | None:
        allocated = _allocate_sequence(request, executor_state, sequence_id, self._now)
        if allocated is None:
            return None
        sequence, copy = allocated
        request.sequence = sequence
        executor_state.start_sequence(sequence)
        executor_state.plan_builder.add_admit(_admit(sequence, executor_state, copy), size)
        return sequence


def _match_prefix(request: Request, executor_state: ExecutorState) -> PrefixMatch:
    # The last token is prefilled in any case, since its logits yield the next one. It may be the last of a page that is
    # cached: then that page is a partial match and copied, so that no sequence writes into a page of the tree.
    return executor_state.radix_tree.match_prefix(request.tokens, request.max_cached, request.params.cache_salt)


def _prefilling_sequence(
    request: Request, executor_state: ExecutorState, match: PrefixMatch
) -> tuple[Sequence, int] | None:
    """The sequence currently prefilling this request's next page, and their common prefix in pages."""
    size, width = executor_state.page_size, executor_state.page_size * ITEM_BYTES
    at = match.num_pages
    gain = min((at + 1) * size, request.max_cached)
    if (at + 1) * size > request.num_tokens or match.num_tokens >= gain:
        return None
    page_tokens = request.tokens[at * width : (at + 1) * width]
    sequence = executor_state.inflight_prefixes.get((request.params.cache_salt, at, page_tokens))
    if sequence is None:
        return None
    limit = min(len(request.tokens), sequence.num_prefill_tokens * ITEM_BYTES)
    shared = common_prefix(request.tokens, 0, sequence.tokens, 0, limit) // width
    return (sequence, shared) if shared > at else None


def _allocate_sequence(
    request: Request, executor_state: ExecutorState, sequence_id: int, now: float
) -> tuple[Sequence, PageCopy | None] | None:
    """Locks the cached pages, and allocates the rest of the prompt and the first grant. None without the memory."""
    num_tokens, new_tokens = request.num_tokens, max_new_tokens(request, executor_state)
    max_kv_tokens = num_tokens + new_tokens - 1
    radix_tree = executor_state.radix_tree
    match = _match_prefix(request, executor_state)
    node = radix_tree.lock_match(match, now)
    granted = num_tokens + executor_state.policy.grant_ahead_tokens
    total = executor_state.pages_for(min(granted, max_kv_tokens))
    need = total - match.num_pages
    expected = num_tokens + executor_state.forecast.expected_tokens(new_tokens, 0)
    growth = max(0, executor_state.pages_for(min(expected, max_kv_tokens)) - total)
    copied = match.partial_node
    if not executor_state.has_memory_for(need, growth):
        radix_tree.unlock_path(node, now)
        return None
    if copied is not None:  # must not be evicted before it is copied
        radix_tree.lock_path(copied, now)
    secured = executor_state.ensure_free_pages(need)
    if copied is not None:
        radix_tree.unlock_path(copied, now)
        if not secured:
            copied, secured = None, executor_state.ensure_free_pages(need)
    if not secured:
        radix_tree.unlock_path(node, now)
        return None
    num_cached = match.num_tokens if copied is not None else match.num_pages * executor_state.page_size
    page_table = node.path + executor_state.page_allocator.allocate(need)
    sequence = Sequence(
        id=sequence_id,
        request=request,
        executor=executor_state.executor_id,
        tokens=bytearray(request.tokens),
        num_prefill_tokens=num_tokens,
        length=num_cached,
        max_kv_tokens=max_kv_tokens,
        page_table=page_table,
        node=node,
        num_matched=match.num_pages,
        num_inserted=match.num_pages,
        num_published=match.num_pages,
    )
    copy = None
    if copied is not None:
        copy = PageCopy(source=match.partial_page, target=page_table[match.num_pages], num_tokens=match.partial_tokens)
    return sequence, copy


def _admit(sequence: Sequence, executor_state: ExecutorState, copy: PageCopy | None) -> Admit:
    request, message = sequence.request, sequence.request.message
    if request.num_cached < 0:
        request.num_cached = min(sequence.length, request.num_prompt)
    prompt_bytes = request.num_prompt * ITEM_BYTES
    start = SequenceStart(
        request_id=message.request_id,
        attempt=message.attempt,
        gateway=message.gateway,
        scheduler=executor_state.scheduler,
        num_prompt_tokens=request.num_prompt,
        num_cached_tokens=request.num_cached,
        context_ids=message.prompt_ids[-CONTEXT_TOKENS * ITEM_BYTES :],
        output_ids=request.tokens[prompt_bytes:],
        params=request.params,
        trace=request.trace,
    )
    return Admit(
        sequence_id=sequence.id,
        token_ids=request.tokens[sequence.length * ITEM_BYTES :],
        num_cached=sequence.length,
        pages=pack(sequence.page_table),
        max_new_tokens=sequence.max_kv_tokens + 1 - sequence.num_prefill_tokens,
        offset=request.num_outputs,
        detokenizer=message.detokenizer,
        start=start,
        copy=copy,
        seen_ids=request.seen_ids(),
    )
