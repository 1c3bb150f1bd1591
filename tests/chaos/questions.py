"""What clients ask during chaos: every way of sampling and ending, short and long, in several scripts."""

from dataclasses import dataclass
from typing import Any

MODEL = "demonstration"
CHAT, COMPLETION = "/v1/chat/completions", "/v1/completions"


@dataclass(frozen=True)
class Question:
    name: str
    path: str
    body: dict[str, Any]


def _chat(name: str, prompt: str, **fields: Any) -> Question:
    return Question(name, CHAT, {"messages": [{"role": "user", "content": prompt}], **fields})


def _completion(name: str, prompt: str, **fields: Any) -> Question:
    return Question(name, COMPLETION, {"prompt": prompt, **fields})


SEEDED: dict[str, Any] = {"temperature": 0.8, "seed": 7, "top_p": 0.95}
GREEDY: dict[str, Any] = {"temperature": 0}
LONG: dict[str, Any] = {"ignore_eos": True, "max_tokens": 300}
PENALTIES: dict[str, Any] = {"repetition_penalty": 1.2, "frequency_penalty": 0.4, "presence_penalty": -0.3}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 30}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
PEOPLE: dict[str, Any] = {"type": "array", "items": PERSON, "minItems": 4, "maxItems": 5}
SCHEMA_FORMAT: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "people", "schema": PEOPLE}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": PEOPLE["items"]}}

QUESTIONS: tuple[Question, ...] = (
    _chat("greedy, short", "What is 3 plus 4?", **GREEDY, max_tokens=40),
    _chat("greedy, long", "Tell me a long story.", **GREEDY, **LONG),
    _chat("seeded, long", "Tell me a story.", **SEEDED, **LONG),
    _chat("hot, so mid-character often", "Hello", temperature=2.0, seed=3, ignore_eos=True, max_tokens=200),
    _chat("n=3", "Tell me a long story.", **SEEDED, n=3, max_tokens=150, ignore_eos=True),
    _chat("stop string", "Tell me a long story.", **SEEDED, stop=["the end", "qx"], max_tokens=200, ignore_eos=True),
    _chat("stop string at the very end", "Count from 3 to 9.", **GREEDY, stop=["9."], max_tokens=60),
    _chat("counting", "Count from 1 to 11.", **GREEDY, max_tokens=80),
    _chat("multi-byte prompt", "Repeat: 你好 🙂 wörld ñandú", **SEEDED, max_tokens=120, ignore_eos=True),
    _completion("prose", "Once upon a time", **GREEDY, max_tokens=250, ignore_eos=True),
    _completion("prose, seeded", "The quick brown fox", **SEEDED, max_tokens=250, ignore_eos=True),
    _completion("echo", "Once upon a time there was", **SEEDED, echo=True, max_tokens=100, ignore_eos=True),
    Question("ids", COMPLETION, {"prompt": list(range(40, 90)), **SEEDED, "max_tokens": 180, "ignore_eos": True}),
    _completion("long prompt", "Once upon a time there was a fox. " * 60, **GREEDY, max_tokens=100, ignore_eos=True),
    _completion("one token", "Once upon", **GREEDY, max_tokens=1),
    _completion("penalties", "Once upon a time", **GREEDY, **LONG, **PENALTIES),
    _chat("penalties, seeded", "Tell me a story.", **SEEDED, **LONG, **PENALTIES, min_tokens=100),
    _completion("regex", "Words:", **SEEDED, regex="([a-z]{2,6} ){60}", max_tokens=400),
    _completion("schema", "A person:", **SEEDED, json_schema=PEOPLE, max_tokens=400),
    _chat("schema, forced stretches", "Who?", **GREEDY, response_format=SCHEMA_FORMAT, max_tokens=400),
    _chat("forced call", "What is the weather?", **SEEDED, tools=[TOOL], tool_choice="required", max_tokens=300),
    _chat("log probabilities", "Tell me a story.", **SEEDED, logprobs=True, top_logprobs=2, max_tokens=120),
    _completion("echoed log probabilities", "Once upon a time", **GREEDY, logprobs=1, echo=True, max_tokens=90),
    _chat("stop pattern", "Count from 1 to 20.", **GREEDY, stop_regex="1[3-9]", max_tokens=80),
)
