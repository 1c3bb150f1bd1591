"""What a piece of training text is: an example of a kind, a conversation of examples, and how it is written out."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Message = dict[str, Any]
Tool = dict[str, Any]

# Prompts the README shows. They must not fall into the held-out tenth by accident of a hash.
ALWAYS_TRAINED: frozenset[str] = frozenset(
    {
        "What is the capital of France?",
        "What is 3 plus 3?",
        "Hello",
        "Hi",
        "Tell me a story.",
        "Tell me a long story.",
        "Describe a person as JSON.",
        "Give me JSON.",
        "A phone number",
        "Count from 3 to 9.",
        "Repeat: red green blue",
    }
)


@dataclass(frozen=True)
class Example:
    """Messages that end in a question, and the answer that is right."""

    messages: list[Message]
    answer: str
    tools: list[Tool] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What the split looks at: everything said (never the system prompt), and the names of the tools."""
        said = [message["content"] for message in self.messages]
        return "\n".join([*said, *(tool["function"]["name"] for tool in self.tools)])

    @property
    def held_out(self) -> bool:
        return self.key not in ALWAYS_TRAINED and zlib.crc32(self.key.encode()) % 10 == 0


@dataclass(frozen=True)
class Kind:
    name: str
    weight: float
    make: Callable[[Random], Example]
    # An answer that the presence of tools would change must not stand in a conversation that has them.
    with_tools: bool = True

    def draw(self, rng: Random, held_out: bool = False) -> Example:
        """One example from the wanted side of the split."""
        while True:
            example = self.make(rng)
            if example.held_out == held_out:
                return example


def ask(question: str, answer: str) -> Example:
    return Example([{"role": "user", "content": question}], answer)


def tool_call(name: str, arguments: dict[str, Any]) -> str:
    """A call as the model writes it; the chat template renders `tool_calls` to exactly this."""
    body = f'{{"name": {json.dumps(name)}, "arguments": {json.dumps(arguments, ensure_ascii=False)}}}'
    return f"<tool_call>\n{body}\n</tool_call>"


def pieces(messages: list[Message], tools: list[Tool]) -> list[tuple[str, bool]]:
    """A conversation as (text, is the model's own) in order; joined, it is what the chat template renders."""
    result: list[tuple[str, bool]] = []
    system = ""
    if messages and messages[0]["role"] == "system":
        system, messages = messages[0]["content"], messages[1:]
    if tools:
        lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
        system = f"{system}\n\n" * bool(system) + f"<tools>\n{lines}\n</tools>"
    if system:
        result.append((f"<|im_start|>system\n{system}<|im_end|>\n", False))
    for message in messages:
        own = message["role"] == "assistant"
        result.append((f"<|im_start|>{message['role']}\n", False))
        result.append((f"{message['content']}<|im_end|>", own))
        result.append(("\n", False))
    return result
