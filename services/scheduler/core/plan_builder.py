"""What a step writes for others to read: an executor's next plan, and the news of its cache for routers."""

from xylem.shared.protocol import Admit, CacheEvents, Plan
from xylem.shared.protocol.columns import pack

# Routers choose by the first so many tokens of a prompt; what lies deeper is not told, which bounds cache events.
TOLD_TOKENS = 4096


class PlanBuilder:
    """The next plan of one plan epoch."""

    def __init__(self, scheduler: str, epoch: int, executor_epoch: int) -> None:
        self.number = 0
        self.num_bytes = 0  # about the size of the admits
        self._scheduler = scheduler
        self._epoch = epoch
        self._executor_epoch = executor_epoch
        self._drops: list[int] = []
        self._admits: list[Admit] = []
        self._grants: dict[int, list[int]] = {}

    def admit(self, admit: Admit, num_bytes: int) -> None:
        self._admits.append(admit)
        self.num_bytes += num_bytes

    def grant(self, sequence_id: int, pages: list[int]) -> None:
        self._grants.setdefault(sequence_id, []).extend(pages)

    def drop(self, sequence_id: int) -> None:
        """What was granted in the same plan belongs to somebody else by now."""
        self._grants.pop(sequence_id, None)
        self._drops.append(sequence_id)

    def take(self) -> Plan | None:
        """The plan, if there is anything in it, and begins the next one. Number 0 goes out in any case."""
        if self.number and not (self._drops or self._admits or self._grants):
            return None
        plan = Plan(
            scheduler=self._scheduler,
            epoch=self._epoch,
            number=self.number,
            executor_epoch=self._executor_epoch,
            drops=pack(self._drops),
            admits=tuple(self._admits),
            grant_ids=pack(self._grants),
            grant_counts=pack(map(len, self._grants.values())),
            grant_pages=pack([page for pages in self._grants.values() for page in pages]),
        )
        self.number += 1
        self.num_bytes = 0
        self._drops, self._admits, self._grants = [], [], {}
        return plan


class CacheEventLog:
    """Which prefixes an executor holds, as it changes.

    `inserted` says that all pages up to the end of a prefix are held, `evicted` that the last page of a prefix and
    all beyond it are not; within a message what is inserted comes first. Salted prefixes are not told: nobody but
    their owner can ask for them, and the message has no salt.
    """

    def __init__(self, scheduler: str, executor: str, epoch: int, page_size: int) -> None:
        self.num_pages = TOLD_TOKENS // page_size  # deeper ones are not told
        self._scheduler = scheduler
        self._executor = executor
        self._epoch = epoch
        self._sequence = 0
        self._batches: list[tuple[list[bytes], list[bytes]]] = []

    def insert(self, salt: str, prefix: bytes) -> None:
        if not salt:
            if not self._batches or self._batches[-1][1]:
                self._batches.append(([], []))
            self._batches[-1][0].append(prefix)

    def evict(self, salt: str, prefix: bytes) -> None:
        if not salt:
            if not self._batches:
                self._batches.append(([], []))
            self._batches[-1][1].append(prefix)

    def take(self) -> list[CacheEvents]:
        """The news since the last call, numbered without a gap."""
        batches, self._batches = self._batches, []
        first = self._sequence
        self._sequence += len(batches)
        return [
            CacheEvents(self._scheduler, self._executor, self._epoch, number, tuple(inserted), tuple(evicted))
            for number, (inserted, evicted) in enumerate(batches, first)
        ]
