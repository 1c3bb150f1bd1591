"""Suspicion that a request ends the executors that work at it, so that it must not be handed on until all are down."""

from dataclasses import dataclass

from xylem.services.gateway.policy import SuspicionPolicy


@dataclass(slots=True)
class Suspicion:
    """Counts the executors that died while they worked at one request.

    A suspected request runs on probation: one at a time, where no other one is disturbed. When executors go on dying it
    is given up; the first tokens that it gets clear it. A crash that was seen (an exception, a signal of the processor)
    weighs more than a process that is just gone, as when somebody has killed it: that says little of its requests.
    """

    policy: SuspicionPolicy
    num_deaths: int = 0
    weight: int = 0

    @property
    def is_suspected(self) -> bool:
        return self.weight >= self.policy.suspected_from

    @property
    def is_given_up(self) -> bool:
        return self.weight >= self.policy.given_up_from

    def note_death(self, *, is_crash: bool, num_new_tokens: int) -> None:
        """Counts the death of an executor that had given the request so many tokens in this attempt."""
        if num_new_tokens >= self.policy.probation_tokens:
            self.num_deaths = self.weight = 0
        self.num_deaths += 1
        self.weight += self.policy.crash_weight if is_crash else self.policy.death_weight
