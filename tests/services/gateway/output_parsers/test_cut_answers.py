"""An answer that is cut: nothing of a marker, or of a call without its name, is content or a thought."""

import pytest

from tests.services.gateway.output_parsers.taking_apart import TOOLS, family
from tests.services.gateway.output_parsers.test_grammar import OWN
from xylem.services.gateway.output_parsers import make_parser
from xylem.services.gateway.output_parsers.deltas import ParsedOutput


def cut(format_: str, text: str, *, thinking: bool = True, tools: bool = True) -> ParsedOutput:
    parser = make_parser(family(format_, "qwen3"), tools=TOOLS if tools else [], thinking=thinking)
    said = ParsedOutput()
    for delta in (*parser.push_text(text), *parser.flush_text(is_cut=True)):
        said.add_delta(delta)
    return said


@pytest.mark.parametrize("format_", sorted(OWN.keys() - {"llama3_json", "pythonic"}))
def test_a_call_that_is_cut_anywhere_leaves_no_markup(format_: str) -> None:
    for before in ("", "Sure.", "<think>Hm.</think>\n\nSure.\n"):
        text = before + OWN[format_]
        for end in range(len(before), len(text)):
            said = cut(format_, text[:end])
            assert said.content.strip() == before.rpartition("</think>")[2].strip(), text[:end]
            assert said.reasoning == ("Hm." if "<think>" in before else "")
    thoughts = "<think>Hm."
    for end in range(len(thoughts), len(thoughts) + len(OWN[format_])):
        said = cut(format_, (thoughts + OWN[format_])[:end])
        assert (said.content.strip(), said.reasoning) == ("", "Hm.")


@pytest.mark.parametrize("format_", ["llama3_json", "pythonic"])
def test_a_call_without_a_marker_leaves_nothing_once_it_has_its_name(format_: str) -> None:
    text = OWN[format_]
    for end in range(text.index("get_weather") + 1, text.index("Paris")):
        assert cut(format_, text[:end]).content == "", text[:end]


def test_half_a_marker_of_thoughts() -> None:
    said = cut("hermes", "<think>Hm.</thi")
    assert (said.content, said.reasoning) == ("", "Hm.")
    assert cut("hermes", "<thi").content == ""


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("hermes", "Three < four, and so"),
        ("hermes", "Three <b"),
        ("llama3_json", '{"na'),
        ("llama3_json", '{"name": "Bo'),
        ("pythonic", "[1, 2"),
        ("pythonic", "[a"),
        ("pythonic", "[get_weather"[:1]),
        ("llama3_json", '{"name": "get_wether'),
        ("gpt_oss", "to"),
    ],
)
def test_text_that_is_cut_is_text(format_: str, text: str) -> None:
    assert cut(format_, text).content == text


def test_an_answer_that_ended_by_itself_loses_nothing() -> None:
    parser = make_parser(family("hermes"), tools=TOOLS, thinking=False)
    said = ParsedOutput()
    for delta in (*parser.push_text('<tool_call>{"name'), *parser.flush_text()):
        said.add_delta(delta)
    assert said.content == '<tool_call>{"name'
