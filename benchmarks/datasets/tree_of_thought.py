"""A problem is thought about in branches: all branches of a level are asked at once and share what led to them.

The first level goes out from the problem; each next one from every answer of the level before, so that level n asks
branches ** n requests of a common trunk. After Yao et al. 2023, "Tree of Thoughts", without the voting.
"""

import random
from dataclasses import dataclass

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words


@dataclass(frozen=True)
class TreeOfThought:
    problem: int = 256
    hint: int = 8
    branches: int = 2
    levels: int = 3
    output: int = 32

    def session(self, seed: int, number: int) -> Session:
        draw = random.Random(f"tree {seed} {number}")
        trunks: list[tuple[Message, ...]] = [(Message("system", words(draw, self.problem)),)]
        for _ in range(self.levels):
            asked = [
                (*trunk, Message("user", words(draw, self.hint))) for trunk in trunks for _ in range(self.branches)
            ]
            answers = yield [Ask(messages, self.output) for messages in asked]
            trunks = [
                (*messages, Message("assistant", answer)) for messages, answer in zip(asked, answers, strict=True)
            ]
