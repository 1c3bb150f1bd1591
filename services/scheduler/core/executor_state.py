"""The scheduler's state of one executor: its pages, its cached prefixes, its sequences, and its next plan."""

from collections import Counter

from xylem.services.scheduler.core.cache_event_log import CacheEventLog
from xylem.services.scheduler.core.events import ExecutorHeartbeat
from xylem.services.scheduler.core.kv_cache.page_allocator import PageAllocator
from xylem.services.scheduler.core.kv_cache.radix_tree import RadixTree
from xylem.services.scheduler.core.loss_detector import NOTHING, LossDetector
from xylem.services.scheduler.core.memory_forecast import MemoryForecast
from xylem.services.scheduler.core.plan_builder import PlanBuilder
from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.request import NEVER, Sequence
from xylem.shared.protocol import Capacity, FinishReason, StepReport
from xylem.shared.protocol.columns import ITEM_BYTES


class LostReport(Exception):
    """A step report is missing or contradicts the state: what the executor holds is not known any more."""


class ExecutorState:
    """State of one executor in one plan epoch. Its pages, prefixes and sequences are decided here and nowhere else."""

    def __init__(
        self,
        scheduler: str,
        executor_id: str,
        executor_epoch: int,
        capacity: Capacity,
        plan_epoch: int,
        policy: SchedulerPolicy,
    ) -> None:
        self.scheduler = scheduler
        self.executor_id = executor_id
        self.executor_epoch = executor_epoch
        self.capacity = capacity
        self.plan_epoch = plan_epoch
        self.accepting = True
        self.page_size = capacity.page_size
        self.page_allocator = PageAllocator(capacity.num_pages)
        self.radix_tree = RadixTree(capacity.page_size)
        self.running: dict[int, Sequence] = {}
        self.on_probation: Sequence | None = None  # the suspect among the running ones: nothing is admitted beside it
        self.retracting: dict[int, Sequence] = {}  # retracted; the executor may not know it yet
        # The sequences that prefill, by (salt, number of pages before it, tokens of the page) of their next page.
        self.inflight_prefixes: dict[tuple[str, int, bytes], Sequence] = {}
        self.num_pending_prefill_tokens = 0  # of admitted prompts
        self.forecast = MemoryForecast(policy)
        self.running_by_tenant: Counter[str] = Counter()  # number of running sequences
        self.policy = policy
        self.plan_builder = PlanBuilder(scheduler, plan_epoch, executor_epoch)
        self.cache_event_log = CacheEventLog(
            scheduler, executor_id, plan_epoch, policy.max_published_tokens // capacity.page_size
        )
        self._awaiting_grant: dict[int, Sequence] = {}  # running, and near the end of their pages
        self._last_step: int | None = None
        self._loss_detector = LossDetector(plan_epoch, policy.loss_timeout_s)

    @property
    def num_available(self) -> int:
        """Number of pages that are free or evictable."""
        return self.page_allocator.num_free + self.radix_tree.num_evictable

    def runs_only_suspects(self) -> bool:
        """Whether nobody runs who was never suspected."""
        return all(sequence.request.message.suspected for sequence in self.running.values())

    def pages_for(self, num_tokens: int) -> int:
        """Returns the number of pages that hold `num_tokens`."""
        return -(-num_tokens // self.page_size)

    def has_memory_for(self, num_pages: int, growth: int) -> bool:
        """Whether one more sequence fits that takes `num_pages` now and then grows by `growth` pages.

        The pages that it shares with the radix tree must be locked already.
        """
        if not self.running:
            return True  # alone it fits, or it would not be in the queue
        # Locked by running sequences, but counted with none of them: prefixes that they share.
        shared = self.page_allocator.num_pages - self.num_available - self.forecast.num_held_pages
        return shared + self.forecast.peak_pages(num_pages, growth) <= self.page_allocator.num_pages

    def ensure_free_pages(self, num_pages: int) -> bool:
        """Evicts until `num_pages` are free. Returns False, with nothing evicted, when that is impossible."""
        missing = num_pages - self.page_allocator.num_free
        if missing > self.radix_tree.num_evictable:
            return False
        if missing > 0:
            self.evict_pages(max(missing, self.page_allocator.num_pages // self.policy.eviction_divisor))
        return True

    def evict_pages(self, num_pages: int) -> None:
        """Evicts up to `num_pages` of the least recently used cached pages."""
        pages, prefixes = self.radix_tree.evict_leaves(num_pages, self.cache_event_log.max_pages)
        self.page_allocator.free(pages)
        for salt, prefix in prefixes:
            self.cache_event_log.add_evicted(salt, prefix)

    def apply_report(self, report: StepReport, now: float) -> tuple[list[Sequence], list[Sequence]]:
        """Enters a step report. Returns the sequences that ended, and those whose retraction it confirms.

        Raises LostReport, and ValueError for columns of different lengths; the state must not be used afterwards.
        """
        known, self._last_step = self._last_step, report.step
        if known is not None and report.step < known:
            raise LostReport(f"step {report.step} of {self.executor_id} after step {known}")
        if known == report.step and report.sequence_ids:
            return [], []
        if report.plan_epoch != self.plan_epoch:
            return [], []
        if known is not None and report.step > known + 1:
            raise LostReport(f"steps {known + 1} to {report.step - 1} of {self.executor_id}")
        ended: dict[int, tuple[Sequence, int]] = {}
        token_ids, at = report.token_ids, 0
        for sequence_id, length, count, finish in report.rows():
            first, at = at, at + count * ITEM_BYTES
            sequence = self.running.get(sequence_id) or self.retracting.get(sequence_id)
            if sequence is None:  # dropped while this was on its way
                continue
            if not first <= at <= len(token_ids) or sequence_id in ended:
                raise LostReport(f"the rows of sequence {sequence_id} of {self.executor_id} contradict each other")
            sequence.tokens += token_ids[first:at]
            # A retracted sequence has no page table any more.
            exceeds_pages = length > len(sequence.page_table) * self.page_size and sequence_id in self.running
            if exceeds_pages or not sequence.length <= length <= len(sequence.tokens) // ITEM_BYTES:
                raise LostReport(f"sequence {sequence_id} of {self.executor_id} has length {length}")
            if finish == FinishReason.ERROR:  # what the step has written of it is not to be trusted
                ended[sequence_id] = sequence, finish
                continue
            if sequence.is_prefilling:
                self._advance_prefill(sequence, length, now)
            sequence.length = length
            if sequence is self.on_probation and sequence.num_new >= self.policy.probation_tokens:
                sequence.request.is_suspect = False
                self.on_probation = None
            if finish:
                ended[sequence_id] = sequence, finish
            elif length >= sequence.next_grant_length:
                self._awaiting_grant[sequence_id] = sequence
        for sequence, finish in ended.values():
            if self.retracting.pop(sequence.id, None) is None:
                self._learn_length(sequence)
                self.release_sequence(sequence, now, keep=finish != FinishReason.ERROR)
        confirmed = [sequence for sequence in self.retracting.values() if report.plan >= sequence.dropped_by_plan]
        for sequence in confirmed:
            del self.retracting[sequence.id]
        return [sequence for sequence, _ in ended.values()], confirmed

    def find_loss(self, heartbeat: ExecutorHeartbeat, now: float) -> str:
        """Names the plan or report that a heartbeat shows to be lost, or returns an empty string."""
        last_report = NOTHING if self._last_step is None else self._last_step
        return self._loss_detector.find_loss(heartbeat, self.plan_builder.number - 1, last_report, now)

    def grant_pages(self, now: float) -> None:
        """Grants pages to the sequences that come near the end of theirs, the oldest request first."""
        for sequence in sorted(self._awaiting_grant.values(), key=lambda sequence: sequence.request.arrival):
            if sequence.id in self._awaiting_grant:
                self._grant(sequence, now)

    def start_sequence(self, sequence: Sequence) -> None:
        """Adds an admitted sequence to the running ones."""
        self.running[sequence.id] = sequence
        if sequence.request.is_suspect:
            self.on_probation = sequence
        self.running_by_tenant[sequence.request.params.tenant] += 1
        self._update_forecast(sequence)
        self.num_pending_prefill_tokens += sequence.num_prefill_tokens - sequence.length
        self._publish_inflight_prefix(sequence)
        self._set_next_grant(sequence)

    def drop_sequence(self, sequence: Sequence, now: float) -> None:
        """Ends a running or retracting sequence whose request was aborted or replaced."""
        if self.retracting.pop(sequence.id, None) is None:
            self._learn_length(sequence)
            self.release_sequence(sequence, now)
            self.plan_builder.add_drop(sequence.id)

    def retract_sequence(self, sequence: Sequence, now: float) -> None:
        """Preempts a running sequence: frees its pages. Tokens count that are reported before the drop is confirmed."""
        self.forecast.learn_from_retraction()
        self.release_sequence(sequence, now)
        self.plan_builder.add_drop(sequence.id)
        sequence.dropped_by_plan = self.plan_builder.number
        self.retracting[sequence.id] = sequence

    def release_sequence(self, sequence: Sequence, now: float, *, keep: bool = True) -> None:
        """Inserts the whole pages of a running sequence into the radix tree and frees its other ones.

        keep: False after an error, whose pages hold nothing worth caching: all of its own pages are freed.
        """
        if keep:
            self._insert_pages(sequence, sequence.length // self.page_size, now)
        self._publish_cached_prefix(sequence)
        if sequence.is_prefilling:
            self._withdraw_inflight_prefix(sequence)
            self.num_pending_prefill_tokens -= sequence.num_prefill_tokens - sequence.length
            sequence.is_prefilling = False
        self.page_allocator.free(sequence.own_pages)
        self.radix_tree.unlock_path(sequence.node, now)
        sequence.page_table, sequence.duplicates, sequence.num_inserted = [], [], 0
        sequence.next_grant_length = NEVER
        del self.running[sequence.id]
        if self.on_probation is sequence:
            self.on_probation = None
        self.forecast.remove_sequence(sequence.id)
        self._count_tenant_down(sequence.request.params.tenant)
        self._awaiting_grant.pop(sequence.id, None)

    def end_plan_epoch(self) -> list[Sequence]:
        """Returns all sequences lost with this plan epoch; the state must not be used afterwards."""
        lost = [*self.running.values(), *self.retracting.values()]
        for sequence in lost:
            sequence.is_prefilling = False  # no request waits for its prefix any more
        return lost

    def _advance_prefill(self, sequence: Sequence, length: int, now: float) -> None:
        """Inserts the pages prefilled by now into the tree, so that other requests match them at once."""
        prefilled = min(length, sequence.num_prefill_tokens)
        self.num_pending_prefill_tokens -= prefilled - sequence.length
        self._withdraw_inflight_prefix(sequence)
        self._insert_pages(sequence, prefilled // self.page_size, now)
        sequence.is_prefilling = prefilled < sequence.num_prefill_tokens
        if sequence.is_prefilling:
            self._publish_inflight_prefix(sequence)
        else:
            self._publish_cached_prefix(sequence)

    def _insert_pages(self, sequence: Sequence, num_pages: int, now: float) -> None:
        if self.policy.prefix_cache and num_pages > sequence.num_inserted:
            pages = sequence.page_table[sequence.num_inserted : num_pages]
            sequence.node, duplicates = self.radix_tree.insert_pages(sequence.node, sequence.tokens, pages, now)
            sequence.duplicates += duplicates
            sequence.num_inserted = num_pages

    def _grant(self, sequence: Sequence, now: float) -> None:
        covered = len(sequence.page_table) * self.page_size
        target = min(sequence.length + 1 + self.policy.grant_ahead_tokens, sequence.max_kv_tokens)
        want = self.pages_for(target) - len(sequence.page_table)
        if want > self.num_available:
            if covered - sequence.length > max(self.policy.short_grant_tokens, self.page_size):
                return  # it can wait: other sequences may end and free their pages
            # The last by priority, and of these the youngest, is preempted, but only when this one can't decode on.
            while not self.num_available and covered <= sequence.length:
                last = max(self.running.values(), key=_rank)
                self.retract_sequence(last, now)
                if last is sequence:
                    return
            want = min(1, self.num_available)
        if want > 0:
            self.ensure_free_pages(want)
            pages = self.page_allocator.allocate(want)
            sequence.page_table += pages
            self.plan_builder.add_grant(sequence.id, pages)
            self._update_forecast(sequence)
        self._set_next_grant(sequence)
        if sequence.length < sequence.next_grant_length:
            del self._awaiting_grant[sequence.id]

    def _set_next_grant(self, sequence: Sequence) -> None:
        covered = len(sequence.page_table) * self.page_size
        # Half of the way ahead is left when the next grant is due: a grant is few pages, but not one at a time.
        due = covered - max(1, self.policy.grant_ahead_tokens // 2)
        sequence.next_grant_length = NEVER if covered >= sequence.max_kv_tokens else due

    def _publish_inflight_prefix(self, sequence: Sequence) -> None:
        """Registers the page that the sequence prefills next, so that requests with the same page wait for it."""
        width = self.page_size * ITEM_BYTES
        at = sequence.num_inserted
        if self.policy.prefix_cache and (at + 1) * self.page_size <= sequence.num_prefill_tokens:
            salt = sequence.request.params.cache_salt
            sequence.inflight_key = (salt, at, bytes(sequence.tokens[at * width : (at + 1) * width]))
            self.inflight_prefixes[sequence.inflight_key] = sequence

    def _withdraw_inflight_prefix(self, sequence: Sequence) -> None:
        key, sequence.inflight_key = sequence.inflight_key, None
        if key is not None and self.inflight_prefixes.get(key) is sequence:
            del self.inflight_prefixes[key]

    def _publish_cached_prefix(self, sequence: Sequence) -> None:
        """Logs what the tree holds of the sequence's tokens, for routers."""
        num_pages = min(sequence.num_inserted, self.cache_event_log.max_pages)
        if num_pages > sequence.num_published:
            prefix = bytes(sequence.tokens[: num_pages * self.page_size * ITEM_BYTES])
            self.cache_event_log.add_inserted(sequence.request.params.cache_salt, prefix)
            sequence.num_published = num_pages

    def _learn_length(self, sequence: Sequence) -> None:
        allowed = sequence.max_kv_tokens + 1 - sequence.num_prefill_tokens
        used = len(sequence.tokens) // ITEM_BYTES - sequence.num_prefill_tokens
        self.forecast.learn_from_end(allowed, used)

    def _update_forecast(self, sequence: Sequence) -> None:
        allowed = sequence.max_kv_tokens + 1 - sequence.num_prefill_tokens
        decoded = len(sequence.tokens) // ITEM_BYTES - sequence.num_prefill_tokens
        length = max(sequence.length, sequence.num_prefill_tokens) + self.forecast.expected_tokens(allowed, decoded)
        growth = max(0, self.pages_for(min(length, sequence.max_kv_tokens)) - len(sequence.page_table))
        self.forecast.set_sequence(sequence.id, len(sequence.page_table) - sequence.num_matched, growth)

    def _count_tenant_down(self, tenant: str) -> None:
        self.running_by_tenant[tenant] -= 1
        if not self.running_by_tenant[tenant]:
            del self.running_by_tenant[tenant]


def _rank(sequence: Sequence) -> tuple[int, int]:
    return sequence.request.params.priority, sequence.request.arrival
