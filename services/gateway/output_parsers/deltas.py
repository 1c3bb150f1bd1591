"""A model's text is taken apart into deltas: text, thinking, and calls of tools."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Content:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call of a tool begins. index counts the calls of an answer from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of the arguments of a call, which are JSON when they are complete."""

    index: int
    text: str


Delta = Content | Reasoning | CallBegun | CallArguments


class Parser(Protocol):
    """Takes a choice's text apart as it comes.

    What it has given out after some text depends on that text only, never on how it was split: a stream that is resumed
    elsewhere feeds it the same text in other pieces.
    """

    def push_text(self, text: str) -> list[Delta]:
        """Takes more text; returns what is certain now."""

    def flush_text(self, *, is_cut: bool = False) -> list[Delta]:
        """Returns what was held back, when no more text comes.

        is_cut: the model had more to say. Then what is held of a marker or a call is of no use to anybody.
        """


class PlainParser:
    """For models and requests with neither thinking nor tools: text is the answer, whatever it goes on with."""

    def __init__(self, prefix: str = "") -> None:
        """prefix: the beginning of the answer that the prompt ends with."""

    def push_text(self, text: str) -> list[Delta]:
        return [Content(text)] if text else []

    def flush_text(self, *, is_cut: bool = False) -> list[Delta]:
        return []


@dataclass(slots=True)
class Call:
    """A call of a tool, whole."""

    name: str
    arguments: str = ""


class ParsedOutput:
    """All that one choice has said so far: deltas, put together again."""

    def __init__(self) -> None:
        self.content = ""
        self.reasoning = ""
        self.calls: list[Call] = []

    def add_delta(self, delta: Delta) -> None:
        match delta:
            case Content(text):
                self.content += text
            case Reasoning(text):
                self.reasoning += text
            case CallBegun(index, name):
                assert index == len(self.calls)
                self.calls.append(Call(name))
            case CallArguments(index, text):
                self.calls[index].arguments += text
