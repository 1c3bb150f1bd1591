"""Many questions behind few prefixes: a system prompt with examples of questions and answers, then a question.

Sessions take the prefixes in turn, so that each is used by every `prefixes`-th one.
"""

import random
from dataclasses import dataclass

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words


@dataclass(frozen=True)
class SharedPrefix:
    """A prefix is system + examples * (question + answer) words long."""

    prefixes: int = 4
    system: int = 128
    examples: int = 8
    question: int = 32
    answer: int = 16
    output: int = 32

    def session(self, seed: int, number: int) -> Session:
        prefix = random.Random(f"shared prefix {seed} {number % self.prefixes}")
        messages = [Message("system", words(prefix, self.system))]
        for _ in range(self.examples):
            messages.append(Message("user", words(prefix, self.question)))
            messages.append(Message("assistant", words(prefix, self.answer)))
        draw = random.Random(f"shared prefix question {seed} {number}")
        messages.append(Message("user", words(draw, self.question)))
        yield [Ask(tuple(messages), self.output)]
