"""A call that a model begins before it has closed its thoughts; and what only looks like one."""

import pytest

from tests.services.gateway.output_parsers.examples import EXAMPLES
from tests.services.gateway.output_parsers.taking_apart import family, splits_of, whole
from tests.services.gateway.output_parsers.test_grammar import OWN, PARIS
from xylem.services.gateway.output_parsers import Family
from xylem.services.gateway.output_parsers.format_table import FORMATS

CALLS = [("get_weather", PARIS), ("now", "{}")]
# What two calls look like where the answer is not made of calls alone.
MARKED = OWN | {
    "llama3_json": f"<|python_tag|>{OWN['llama3_json']}",
    "pythonic": f"<|python_start|>{OWN['pythonic']}<|python_end|>",
}
THOUGHTS = {
    "qwen3": ("<think>", "</think>"),
    "mistral": ("[THINK]", "[/THINK]"),
    "kimi": ("◁think▷", "◁/think▷"),
    "gemma4": ("<|channel>thought\n", "<channel|>"),
    "cohere": ("<|START_THINKING|>", "<|END_THINKING|>"),
}
# The thoughts that models of a format have, where they are other ones than Qwen's.
THINKS = {"gemma4": "gemma4", "cohere": "cohere", "mistral": "mistral", "mistral_v11": "mistral", "kimi_k2": "kimi"}


def opening(format_: str) -> str:
    form = FORMATS[format_].form
    assert form is not None
    return form.opening


each_format = pytest.mark.parametrize("format_", MARKED)


def check(model: Family, text: str, expected: object) -> None:
    for pieces in splits_of(text):
        assert whole(model, pieces) == expected, pieces


@each_format
def test_a_call_ends_the_thoughts(format_: str) -> None:
    thinking = THINKS.get(format_, "qwen3")
    model, (begin, end) = family(format_, thinking), THOUGHTS[thinking]
    check(model, f"{begin}\nI look it up.\n{MARKED[format_]}", ("", "I look it up.", CALLS))
    check(model, f"{begin}{MARKED[format_]}\n{end}\n", ("", "", CALLS))
    content, thoughts, calls = whole(model, [f"{begin}Hm{MARKED[format_]}{end}Done."])
    assert (content.strip(), thoughts, calls) == ("Done.", "Hm", CALLS)


@each_format
def test_a_mention_does_not(format_: str) -> None:
    thinking = THINKS.get(format_, "qwen3")
    model, (begin, end) = family(format_, thinking), THOUGHTS[thinking]
    for mention in (
        opening(format_),
        f"{opening(format_)} and so on",
        MARKED[format_].replace("get_weather", "other").replace("now", "another"),
        f"{opening(format_)}{opening(format_)}",
        f'{opening(format_)}[{{"arguments": {{"text": "',
        f'{opening(format_)}{{"',
        f"{opening(format_)}get_weather",
    ):
        thoughts = f"I could write {mention}"
        check(model, f"{begin}{thoughts}{end}Yes.", ("Yes.", thoughts, []))
        check(model, f"{begin}{thoughts}. Now: {MARKED[format_]}{end}", ("", f"{thoughts}. Now:", CALLS))


@pytest.mark.parametrize("thinking", THOUGHTS)
def test_without_tools_there_is_nothing_but_thoughts(thinking: str) -> None:
    begin, end = THOUGHTS[thinking]
    text = f"{begin}{MARKED['hermes']}{end}Yes."
    assert whole(family("hermes", thinking), [text], tools=[]) == ("Yes.", MARKED["hermes"], [])


def test_a_call_that_breaks_off_has_ended_the_thoughts_all_the_same() -> None:
    text = '<think>Hm<tool_call>{"name": "now", "arguments": {"a": 1]} and'
    check(family("hermes", "qwen3"), text, ("]} and", "Hm", [("now", '{"a": 1')]))
    check(family("glm45", "qwen3"), "<think>Hm<tool_call>now", ("", "Hm<tool_call>now", []))


def test_every_format_with_a_marker_is_here() -> None:
    assert {name for name, format_ in FORMATS.items() if format_.form} == set(MARKED)
    assert {example.format for example in EXAMPLES} >= set(MARKED) - {"mistral_v11"}
