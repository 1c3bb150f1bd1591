"""Lengths as people's conversations with assistants have them: log-normal, with many short ones and a long tail.

The means are near those that are reported for the ShareGPT collection; the spreads are ours. Cut at `longest`, the
defaults have means of about 213 in and 199 out, medians of 107 and 133.
"""

import math
import random
from dataclasses import dataclass

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words


@dataclass(frozen=True)
class MixedLengths:
    """Means of the whole distributions; sigmas are those of the logarithms."""

    input_mean: float = 220
    input_sigma: float = 1.2
    output_mean: float = 200
    output_sigma: float = 0.9
    longest: int = 2048

    def lengths(self, draw: random.Random) -> tuple[int, int]:
        """In and out."""
        num_input = self._length(draw, self.input_mean, self.input_sigma)
        return num_input, self._length(draw, self.output_mean, self.output_sigma)

    def session(self, seed: int, number: int) -> Session:
        draw = random.Random(f"mixed {seed} {number}")
        num_input, num_output = self.lengths(draw)
        yield [Ask((Message("user", words(draw, num_input)),), num_output)]

    def _length(self, draw: random.Random, mean: float, sigma: float) -> int:
        mu = math.log(mean) - sigma**2 / 2  # exp(mu + sigma^2 / 2) is the mean of a log-normal
        return max(1, min(self.longest, round(draw.lognormvariate(mu, sigma))))
