"""Faults, one after the other, under a crowd of streams; and how long each stood still."""

import asyncio
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from tests.chaos.crowd import Crowd
from tests.chaos.faults import Fault
from tests.serving import Served


@dataclass
class Outcome:
    """Of all faults of one name: seconds from the fault to the next event of each stream that ran then."""

    num_faults: int = 0
    recoveries_s: list[float] = field(default_factory=list)

    def row(self) -> str:
        ordered = sorted(self.recoveries_s) or [0.0]
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        return f"{self.num_faults} | {len(ordered)} | {statistics.median(ordered):.2f} | {p99:.2f} | {ordered[-1]:.2f}"


@dataclass
class Campaign:
    served: Served
    crowd: Crowd
    outcomes: dict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))

    async def strike(self, fault: Fault, victim: str) -> None:
        """One fault. Returns when every stream that ran when it struck has moved on, and the system is whole again."""
        readers = await self.crowd.reading()
        pid = self.served.state["pids"][victim]
        began_s = asyncio.get_running_loop().time()
        await fault.strike(self.served, victim)
        outcome = self.outcomes[f"{fault.name} of {victim.rpartition('-')[0]}"]
        outcome.num_faults += 1
        outcome.recoveries_s += await self.crowd.moved_on(readers, began_s)
        if fault.name != "SIGSTOP 6 s":
            await self._replaced(victim, pid)
        await self.crowd.ended(4)

    async def _replaced(self, victim: str, pid: int) -> None:
        async with asyncio.timeout(180):
            while True:
                if self.served.state["pids"].get(victim) not in (pid, None):
                    return
                await asyncio.sleep(0.05)

    def table(self) -> str:
        head = "| fault | count | streams | p50 s | p99 s | max s |\n|---|---:|---:|---:|---:|---:|"
        return "\n".join([head, *(f"| {name} | {outcome.row()} |" for name, outcome in sorted(self.outcomes.items()))])
