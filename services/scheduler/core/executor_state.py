"""The books of one executor: its pages, its prefixes, its sequences, and the plan that is being written for it."""

from collections import Counter

from xylem.services.scheduler.core.events import Heard
from xylem.services.scheduler.core.kv_cache.page_allocator import PageAllocator
from xylem.services.scheduler.core.kv_cache.radix_tree import RadixTree
from xylem.services.scheduler.core.loss_detector import NOTHING, LossDetector
from xylem.services.scheduler.core.memory_forecast import MemoryForecast
from xylem.services.scheduler.core.plan_builder import CacheEventLog, PlanBuilder
from xylem.services.scheduler.core.request import NEVER, Sequence
from xylem.shared.protocol import Capacity, FinishReason, StepReport
from xylem.shared.protocol.columns import ITEM_BYTES, unpack

# When memory is short, a page is granted only to a sequence with fewer tokens left than this (or than a page).
NEAR_TOKENS = 8
# An eviction takes at least this part of the pool, so that a full cache is not cut page by page.
EVICTION_PART = 64


class LostReport(Exception):
    """A step report is missing or contradicts the books: what the executor holds is not known any more."""


class ExecutorState:
    """What the scheduler knows of one executor, from one plan epoch's beginning to its end."""

    def __init__(
        self,
        scheduler: str,
        executor: str,
        executor_epoch: int,
        capacity: Capacity,
        plan_epoch: int,
        ahead_tokens: int,
        *,
        prefix_cache: bool = True,
    ) -> None:
        self.scheduler = scheduler
        self.executor = executor
        self.executor_epoch = executor_epoch
        self.capacity = capacity
        self.plan_epoch = plan_epoch
        self.accepting = True
        self.page_size = capacity.page_size
        self.pages = PageAllocator(capacity.num_pages)
        self.tree = RadixTree(capacity.page_size)
        self.running: dict[int, Sequence] = {}
        self.leaving: dict[int, Sequence] = {}  # retracted; the executor may not know it yet
        self.reading: dict[tuple[str, int, bytes], Sequence] = {}  # by (salt, pages before it, the page read next)
        self.num_unread = 0  # prompt tokens admitted and not yet read
        self.forecast = MemoryForecast(ahead_tokens)
        self.tenants: Counter[str] = Counter()  # running sequences of each
        self.ahead_tokens = ahead_tokens
        self.draft = PlanBuilder(scheduler, plan_epoch, executor_epoch)
        self.news = CacheEventLog(scheduler, executor, plan_epoch, capacity.page_size)
        self._prefix_cache = prefix_cache
        self._short: dict[int, Sequence] = {}  # running ones that need a grant
        self._last_step: int | None = None
        self._watch_over = LossDetector(plan_epoch)

    @property
    def num_available(self) -> int:
        """Pages that are free or hold only what may be evicted."""
        return self.pages.num_free + self.tree.num_evictable

    def pages_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.page_size)

    def fits(self, num_pages: int, growth: int) -> bool:
        """Whether one more sequence fits that takes `num_pages` now and then grows by `growth` pages.

        The pages that it shares with the tree are locked already.
        """
        if not self.running:
            return True  # alone it fits, or it would not be in the queue
        # Locked by running sequences, but counted with none of them: prefixes that they share.
        shared = self.pages.num_pages - self.num_available - self.forecast.num_held
        return shared + self.forecast.peak(num_pages, growth) <= self.pages.num_pages

    def secure(self, num_pages: int) -> bool:
        """Evicts until `num_pages` are free. False, with nothing done, when that can't be."""
        missing = num_pages - self.pages.num_free
        if missing > self.tree.num_evictable:
            return False
        if missing > 0:
            self.evict(max(missing, self.pages.num_pages // EVICTION_PART))
        return True

    def evict(self, num_pages: int) -> None:
        """Drops up to `num_pages` of the least recently used cached pages."""
        pages, prefixes = self.tree.evict(num_pages, self.news.num_pages)
        self.pages.free(pages)
        for salt, prefix in prefixes:
            self.news.evict(salt, prefix)

    def read(self, report: StepReport, now: float) -> tuple[list[Sequence], list[Sequence]]:
        """Enters a report. Returns the sequences that ended, and those whose retraction the executor confirms.

        Raises LostReport, and the books are worth nothing then.
        """
        known, self._last_step = self._last_step, report.step
        if known is not None and report.step < known:
            raise LostReport(f"step {report.step} of {self.executor} after step {known}")
        if known == report.step and report.sequence_ids:
            return [], []
        if report.plan_epoch != self.plan_epoch:
            return [], []
        if known is not None and report.step > known + 1:
            raise LostReport(f"steps {known + 1} to {report.step - 1} of {self.executor}")
        ended: dict[int, tuple[Sequence, int]] = {}
        token_ids, at = report.token_ids, 0
        columns = (report.sequence_ids, report.lengths, report.counts, report.finishes)
        for sequence_id, length, count, finish in zip(*map(unpack, columns), strict=True):
            first, at = at, at + count * ITEM_BYTES
            sequence = self.running.get(sequence_id) or self.leaving.get(sequence_id)
            if sequence is None:  # dropped while this was on its way
                continue
            if not first <= at <= len(token_ids) or sequence_id in ended:
                raise LostReport(f"the rows of sequence {sequence_id} of {self.executor} contradict each other")
            sequence.tokens += token_ids[first:at]
            if (
                not sequence.length <= length <= len(sequence.tokens) // ITEM_BYTES
                or (
                    length > len(sequence.table) * self.page_size and sequence_id in self.running
                )  # one that is leaving has no table any more
            ):
                raise LostReport(f"sequence {sequence_id} of {self.executor} has length {length}")
            if sequence.reading:
                self._progress(sequence, length, now)
            sequence.length = length
            if finish:
                ended[sequence_id] = sequence, finish
            elif length >= sequence.refill_at:
                self._short[sequence_id] = sequence
        for sequence, finish in ended.values():
            if self.leaving.pop(sequence.id, None) is None:
                self._learn(sequence)
                self.release(sequence, now, keep=finish != FinishReason.ERROR)
        confirmed = [sequence for sequence in self.leaving.values() if report.plan >= sequence.dropped_by]
        for sequence in confirmed:
            del self.leaving[sequence.id]
        return [sequence for sequence, _ in ended.values()], confirmed

    def compare(self, heard: Heard, now: float) -> str:
        """What a heartbeat shows to be lost, or an empty string."""
        last_report = NOTHING if self._last_step is None else self._last_step
        return self._watch_over.lost(heard, self.draft.number - 1, last_report, now)

    def grow(self, now: float) -> None:
        """Grants pages to the sequences that come near the end of theirs, the oldest first."""
        for sequence in sorted(self._short.values(), key=lambda sequence: sequence.request.arrival):
            if sequence.id in self._short:
                self._grant(sequence, now)

    def begin(self, sequence: Sequence) -> None:
        """Puts an admitted sequence into the books."""
        self.running[sequence.id] = sequence
        self.tenants[sequence.request.message.tenant] += 1
        self._foresee(sequence)
        self.num_unread += sequence.to_read - sequence.length
        self._watch(sequence)
        self._set_refill(sequence)

    def drop(self, sequence: Sequence, now: float) -> None:
        """Ends a running or leaving sequence that nobody wants any more."""
        if self.leaving.pop(sequence.id, None) is None:
            self._learn(sequence)
            self.release(sequence, now)
            self.draft.drop(sequence.id)

    def retract(self, sequence: Sequence, now: float) -> None:
        """Takes the memory of a running sequence. Its tokens count until the executor confirms the drop."""
        self.forecast.learn_of_shortage()
        self.release(sequence, now)
        self.draft.drop(sequence.id)
        sequence.dropped_by = self.draft.number
        self.leaving[sequence.id] = sequence

    def release(self, sequence: Sequence, now: float, *, keep: bool = True) -> None:
        """Gives the whole pages of a sequence to the tree and frees its other ones; after an error all of its own."""
        if keep:
            self._insert(sequence, sequence.length // self.page_size, now)
        self._tell(sequence)
        if sequence.reading:
            self._unwatch(sequence)
            self.num_unread -= sequence.to_read - sequence.length
            sequence.reading = False
        self.pages.free(sequence.own_pages)
        self.tree.unlock(sequence.node, now)
        sequence.table, sequence.duplicates, sequence.num_inserted = [], [], 0
        sequence.refill_at = NEVER
        del self.running[sequence.id]
        self.forecast.forget(sequence.id)
        self._leave(sequence.request.message.tenant)
        self._short.pop(sequence.id, None)

    def abandon(self) -> list[Sequence]:
        """The sequences that go down with this plan epoch. The books are not used any more."""
        lost = [*self.running.values(), *self.leaving.values()]
        for sequence in lost:
            sequence.reading = False  # nobody need wait for what it read
        return lost

    def _progress(self, sequence: Sequence, length: int, now: float) -> None:
        """More of a prompt is read: whoever shares it may use it from now on."""
        read = min(length, sequence.to_read)
        self.num_unread -= read - sequence.length
        self._unwatch(sequence)
        self._insert(sequence, read // self.page_size, now)
        sequence.reading = read < sequence.to_read
        if sequence.reading:
            self._watch(sequence)
        else:
            self._tell(sequence)

    def _insert(self, sequence: Sequence, num_pages: int, now: float) -> None:
        if self._prefix_cache and num_pages > sequence.num_inserted:
            pages = sequence.table[sequence.num_inserted : num_pages]
            sequence.node, duplicates = self.tree.advance(sequence.node, sequence.tokens, pages, now)
            sequence.duplicates += duplicates
            sequence.num_inserted = num_pages

    def _grant(self, sequence: Sequence, now: float) -> None:
        covered = len(sequence.table) * self.page_size
        want = self.pages_for(min(sequence.length + 1 + self.ahead_tokens, sequence.limit)) - len(sequence.table)
        if want > self.num_available:
            if covered - sequence.length > max(NEAR_TOKENS, self.page_size):
                return  # it can wait: others may end and leave their pages
            # The youngest gives way, but only when this one can't draw another token.
            while not self.num_available and covered <= sequence.length:
                youngest = max(self.running.values(), key=lambda other: other.request.arrival)
                self.retract(youngest, now)
                if youngest is sequence:
                    return
            want = min(1, self.num_available)
        if want > 0:
            self.secure(want)
            pages = self.pages.allocate(want)
            sequence.table += pages
            self.draft.grant(sequence.id, pages)
            self._foresee(sequence)
        self._set_refill(sequence)
        if sequence.length < sequence.refill_at:
            del self._short[sequence.id]

    def _set_refill(self, sequence: Sequence) -> None:
        covered = len(sequence.table) * self.page_size
        # Half of the way ahead is left when the next grant is due: a grant is few pages, but not one at a time.
        due = covered - max(1, self.ahead_tokens // 2)
        sequence.refill_at = NEVER if covered >= sequence.limit else due

    def _watch(self, sequence: Sequence) -> None:
        """Notes which page the sequence reads next, for others that would read the same."""
        width = self.page_size * ITEM_BYTES
        at = sequence.num_inserted
        if self._prefix_cache and (at + 1) * self.page_size <= sequence.to_read:
            salt = sequence.request.message.salt
            sequence.reading_key = (salt, at, bytes(sequence.tokens[at * width : (at + 1) * width]))
            self.reading[sequence.reading_key] = sequence

    def _unwatch(self, sequence: Sequence) -> None:
        key, sequence.reading_key = sequence.reading_key, None
        if key is not None and self.reading.get(key) is sequence:
            del self.reading[key]

    def _tell(self, sequence: Sequence) -> None:
        num_pages = min(sequence.num_inserted, self.news.num_pages)
        if num_pages > sequence.num_told:
            prefix = bytes(sequence.tokens[: num_pages * self.page_size * ITEM_BYTES])
            self.news.insert(sequence.request.message.salt, prefix)
            sequence.num_told = num_pages

    def _learn(self, sequence: Sequence) -> None:
        allowed = sequence.limit + 1 - sequence.to_read
        used = len(sequence.tokens) // ITEM_BYTES - sequence.to_read
        self.forecast.learn(allowed, used)

    def _foresee(self, sequence: Sequence) -> None:
        allowed = sequence.limit + 1 - sequence.to_read
        drawn = len(sequence.tokens) // ITEM_BYTES - sequence.to_read
        length = max(sequence.length, sequence.to_read) + self.forecast.expected_tokens(allowed, drawn)
        growth = max(0, self.pages_for(min(length, sequence.limit)) - len(sequence.table))
        self.forecast.note(sequence.id, len(sequence.table) - sequence.num_matched, growth)

    def _leave(self, tenant: str) -> None:
        self.tenants[tenant] -= 1
        if not self.tenants[tenant]:
            del self.tenants[tenant]
