"""The next plan of one executor, as the scheduler's step fills it."""

from xylem.shared.protocol import Admit, Plan
from xylem.shared.protocol.columns import pack


class PlanBuilder:
    """Collects drops, admits and grants, and numbers the plans of one plan epoch."""

    def __init__(self, scheduler: str, epoch: int, executor_epoch: int) -> None:
        self.number = 0
        self.num_bytes = 0  # estimated size of the admits
        self._scheduler = scheduler
        self._epoch = epoch
        self._executor_epoch = executor_epoch
        self._drops: list[int] = []
        self._admits: list[Admit] = []
        self._grants: dict[int, list[int]] = {}

    def add_admit(self, admit: Admit, num_bytes: int) -> None:
        """Adds an admit whose estimated size is `num_bytes`."""
        self._admits.append(admit)
        self.num_bytes += num_bytes

    def add_grant(self, sequence_id: int, pages: list[int]) -> None:
        """Adds `pages` to the end of the sequence's page table."""
        self._grants.setdefault(sequence_id, []).extend(pages)

    def add_drop(self, sequence_id: int) -> None:
        """Adds a drop, and removes what was granted to `sequence_id` in the same plan: those pages are free again."""
        self._grants.pop(sequence_id, None)
        self._drops.append(sequence_id)

    def take_plan(self) -> Plan | None:
        """Returns the plan and begins the next one; None if it is empty, but plan 0 is always sent."""
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
