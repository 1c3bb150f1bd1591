"""What a data set is made of: sessions, which ask one or more requests at once, and go on from the answers."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

Session = Generator[list["Ask"], list[str], None]
"""Yields requests that are sent together, is sent their texts in the same order, and ends when nothing follows."""


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class Ask:
    """One request. num_output: most tokens of the answer; schema: what JSON must come, if any."""

    messages: tuple[Message, ...]
    num_output: int
    schema: dict[str, Any] | None = None

    @property
    def prompt(self) -> str:
        """The messages as one text, which only grows at its end when an answer and a question are added.

        Words stand behind single spaces, also those of an answer, so that a tokenizer finds the same tokens again.
        """
        if len(self.messages) == 1:
            return self.messages[0].content
        return " ".join(f"{message.role} : {message.content.strip()}" for message in self.messages) + " assistant :"


class Dataset(Protocol):
    """Its fields are options of the command line; all have defaults. One seed gives the same sessions everywhere."""

    def session(self, seed: int, number: int) -> Session: ...
