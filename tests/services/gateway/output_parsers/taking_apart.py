"""Feeds texts to parsers, in pieces of many kinds, and shows what came out."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from xylem.services.gateway.output_parsers import Family, choose, make_parser
from xylem.services.gateway.output_parsers.deltas import ParsedOutput

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": "boolean"},
                "hours": {"type": "array", "items": {"type": "integer"}},
                "note": {"type": ["string", "null"]},
            },
            "required": ["city"],
        },
    },
}
NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
TOOLS = [WEATHER, NOW]

# content, reasoning, calls
Out = tuple[str, str, list[tuple[str, str]]]


def out(said: ParsedOutput) -> Out:
    return said.content, said.reasoning, [(call.name, call.arguments) for call in said.calls]


def family(format_: str, reasoning: str = "none") -> Family:
    return choose(tool_call_parser=format_, reasoning_parser=reasoning)


def fed(family: Family, pieces: Iterable[str], *, tools: Sequence[Any] = TOOLS, thinking: bool = True) -> ParsedOutput:
    """What is out after the pieces, before any flush."""
    said = ParsedOutput()
    parser = make_parser(family, tools=list(tools), thinking=thinking)
    for piece in pieces:
        for delta in parser.push_text(piece):
            said.add_delta(delta)
    return said


def whole(family: Family, pieces: Iterable[str], *, tools: Sequence[Any] = TOOLS, thinking: bool = True) -> Out:
    """What is out when the text has ended."""
    said = ParsedOutput()
    parser = make_parser(family, tools=list(tools), thinking=thinking)
    for piece in pieces:
        for delta in parser.push_text(piece):
            said.add_delta(delta)
    for delta in parser.flush_text():
        said.add_delta(delta)
    return out(said)


def tokens_of(text: str) -> list[str]:
    """Pieces like those of a tokenizer: words with the space in front of them, marks, special tokens."""
    return re.findall(r"<\|[^|]+\|>|<｜[^｜]+｜>| ?\w+|\s+|[^\w\s]+", text)


def splits_of(text: str) -> list[list[str]]:
    return [[text], tokens_of(text), list(text), [text[at : at + 7] for at in range(0, len(text), 7)]]
