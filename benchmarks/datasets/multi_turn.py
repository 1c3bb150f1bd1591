"""A chat: each turn waits for the answer to the one before, and carries along all that was said."""

import random
from dataclasses import dataclass

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words


@dataclass(frozen=True)
class MultiTurn:
    turns: int = 4
    system: int = 64
    input: int = 48
    output: int = 48

    def session(self, seed: int, number: int) -> Session:
        system = words(random.Random(f"multi-turn {seed}"), self.system)
        draw = random.Random(f"multi-turn {seed} {number}")
        messages = [Message("system", system)]
        for _ in range(self.turns):
            messages.append(Message("user", words(draw, self.input)))
            [answer] = yield [Ask(tuple(messages), self.output)]
            messages.append(Message("assistant", answer))
