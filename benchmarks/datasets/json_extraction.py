"""Fields are to be taken out of a text, as JSON by a schema: structured output under load."""

import random
from dataclasses import dataclass
from typing import Any

from benchmarks.datasets.session import Ask, Message, Session
from benchmarks.datasets.words import words

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "city": {"type": "string", "maxLength": 24},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "mood": {"type": "string", "enum": ["glad", "calm", "sad"]},
    },
    "required": ["name", "city", "age", "mood"],
    "additionalProperties": False,
}
ORDER = "take name , city , age and mood out of the text and write them as JSON"


@dataclass(frozen=True)
class JsonExtraction:
    input: int = 128
    output: int = 96

    def session(self, seed: int, number: int) -> Session:
        draw = random.Random(f"json {seed} {number}")
        messages = (Message("system", ORDER), Message("user", words(draw, self.input)))
        yield [Ask(messages, self.output, SCHEMA)]
