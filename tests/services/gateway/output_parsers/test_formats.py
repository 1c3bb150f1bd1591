"""What is in the texts that models write, however they are cut."""

import json

import pytest

from tests.services.gateway.output_parsers.examples import EXAMPLES, PARIS, Example
from tests.services.gateway.output_parsers.taking_apart import TOOLS, family, fed, out, splits_of, whole
from xylem.services.gateway.output_parsers import Family, make_parser
from xylem.services.gateway.output_parsers.deltas import PlainParser
from xylem.services.gateway.output_parsers.format_table import FORMATS

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=[f"{e.format}-{at}" for at, e in enumerate(EXAMPLES)])


@each_example
def test_what_is_in_a_text_does_not_depend_on_its_pieces(example: Example) -> None:
    for pieces in splits_of(example.text):
        assert whole(family(example.format, example.reasoning), pieces) == example.expected


@each_example
def test_what_is_out_after_each_prefix_depends_on_the_prefix_only(example: Example) -> None:
    model = family(example.format, example.reasoning)
    for cut in range(len(example.text) + 1):
        prefix = example.text[:cut]
        outs = [out(fed(model, pieces)) for pieces in splits_of(prefix)]
        assert outs == [outs[0]] * len(outs), prefix


@each_example
def test_a_text_that_ends_anywhere_has_given_a_part_of_what_it_would_have_given(example: Example) -> None:
    model = family(example.format, example.reasoning)
    for cut in range(len(example.text)):
        content, reasoning, calls = out(fed(model, [example.text[:cut]]))
        assert example.expected[0].startswith(content)
        assert example.expected[1].startswith(reasoning)
        for call, full in zip(calls, example.expected[2], strict=False):
            assert call[0] == full[0]
            assert full[1].startswith(call[1])


@each_example
def test_a_text_that_ends_anywhere_loses_nothing_that_is_held(example: Example) -> None:
    """Held text comes out at the end, as what the text was in the middle of."""
    model = family(example.format, example.reasoning)
    for cut in range(len(example.text)):
        before = out(fed(model, [example.text[:cut]]))
        after = whole(model, [example.text[:cut]])
        assert after[2] == before[2]
        held = after[0].removeprefix(before[0]) + after[1].removeprefix(before[1])
        ended = example.text[:cut]
        for end in FORMATS[example.format].ends:
            ended = ended.removesuffix(end)
        assert ended.endswith(held)


def test_complete_calls_have_arguments_that_are_json() -> None:
    for example in EXAMPLES:
        if example.expected[2] and not example.expected[0] and "1</tool" not in example.text:
            for _, arguments in example.expected[2]:
                assert isinstance(json.loads(arguments), dict)


def test_arguments_come_as_they_are_written() -> None:
    model = family("hermes")
    start = '<tool_call>{"name": "get_weather", "arguments": {"city": "Pa'
    assert out(fed(model, [start])) == ("", "", [("get_weather", '{"city": "Pa')])
    coder = "<tool_call><function=get_weather><parameter=city>\nPa"
    assert out(fed(family("qwen3_coder"), [coder])) == ("", "", [("get_weather", '{"city": "Pa')])


def test_text_comes_at_once_when_it_can_be_no_marker() -> None:
    assert out(fed(family("hermes"), ["Hello <to"]))[0] == "Hello"
    assert out(fed(family("hermes"), ["Hello <top"]))[0] == "Hello <top"


@pytest.mark.parametrize("format_", FORMATS)
def test_without_tools_there_are_no_calls(format_: str) -> None:
    for example in EXAMPLES:
        if example.format == format_:
            content, _, calls = whole(family(format_), [example.text], tools=[])
            assert calls == []
            assert all(arguments.strip("{}") in content for _, arguments in example.expected[2] if arguments == PARIS)


def test_who_was_not_asked_to_think_has_no_thoughts() -> None:
    assert whole(family("hermes", "qwen3"), ["<think>a</think>"], thinking=False) == ("<think>a</think>", "", [])


def test_models_without_anything_of_this_have_a_parser_without_anything_of_it() -> None:
    assert isinstance(make_parser(Family(), tools=None, thinking=True), PlainParser)


def test_tools_may_come_bare() -> None:
    bare = [tool["function"] for tool in TOOLS]
    assert whole(family("hermes"), ['<tool_call>{"name": "now"}'], tools=bare) == ("", "", [("now", "{}")])
