"""Faults and poison requests, one after the other, under a crowd of streams; and how long each stood still."""

import asyncio
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

import httpx

from tests.chaos.crowd import Crowd
from tests.chaos.faults import Fault
from tests.chaos.poison import Poison
from tests.serving import Served


@dataclass
class Outcome:
    """Of all faults of one name: seconds from the fault to the next event of each stream that ran then.

    Of a poison request, which strikes whenever its turn comes, it is the longest pause until the request was answered.
    """

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
    answers_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # to poison requests

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

    async def poison(self, poison: Poison, url: str, http: httpx.AsyncClient) -> list[str]:
        """One poison request. Returns what it should not have done, when the executors that it ended are back."""
        readers = await self.crowd.reading()
        began_s, num_lines = asyncio.get_running_loop().time(), len(self.served.output)
        failures = await poison.ask(url, http)
        answered_s = asyncio.get_running_loop().time()
        outcome = self.outcomes[poison.name]
        outcome.num_faults += 1
        outcome.recoveries_s += [reader.longest_pause_s(began_s, answered_s) for reader in readers]
        self.answers_s[poison.name].append(answered_s - began_s)
        await self._is_over(poison, num_lines)
        await self.crowd.ended(4)
        return failures + poison.find_excess(self.served.output[num_lines:])

    async def _is_over(self, poison: Poison, since_line: int) -> None:
        async with asyncio.timeout(180):
            while True:
                if poison.are_over(self.served.output[since_line:]):
                    return
                await asyncio.sleep(0.05)

    async def _replaced(self, victim: str, pid: int) -> None:
        async with asyncio.timeout(180):
            while True:
                if self.served.state["pids"].get(victim) not in (pid, None):
                    return
                await asyncio.sleep(0.05)

    def table(self) -> str:
        head = "| fault | count | streams | p50 s | p99 s | max s |\n|---|---:|---:|---:|---:|---:|"
        return "\n".join([head, *(f"| {name} | {outcome.row()} |" for name, outcome in sorted(self.outcomes.items()))])
