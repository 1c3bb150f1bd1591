"""Fixed lengths, nothing shared: what a server does without its cache."""

import random
from dataclasses import dataclass

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words


@dataclass(frozen=True)
class RandomWords:
    input: int = 256
    output: int = 64

    def session(self, seed: int, number: int) -> Session:
        draw = random.Random(f"random {seed} {number}")
        yield [Ask((Message("user", words(draw, self.input)),), self.output)]
