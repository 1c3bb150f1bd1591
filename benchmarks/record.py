"""What is known of one request of a run."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from benchmarks.stream import Answer


@dataclass(frozen=True)
class Record:
    """intended_s: when the load wanted the request to be sent; all latencies count from there, also the time in which
    the client was too busy to send it. Times are those of time.perf_counter(), in seconds.
    """

    intended_s: float
    answer: Answer

    @property
    def completed(self) -> bool:
        return not self.answer.error

    @property
    def ttft_s(self) -> float:
        return self.answer.arrivals_s[0] - self.intended_s

    @property
    def e2e_s(self) -> float:
        return self.answer.end_s - self.intended_s

    @property
    def num_tokens(self) -> int:
        """As the server counts them; events, if it does not."""
        return len(self.answer.arrivals_s) if self.answer.num_tokens is None else self.answer.num_tokens

    @cached_property
    def gaps_s(self) -> list[float]:
        """Between one arrival and the next, whatever number of tokens it brings."""
        return [later - earlier for earlier, later in pairwise(self.answer.arrivals_s)]

    @property
    def per_token_s(self) -> float:
        """Mean time of a token after the first arrival; 0 for an answer of one token."""
        return sum(self.gaps_s) / max(1, self.num_tokens - 1)
