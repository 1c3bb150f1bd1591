"""Texts that no model should write: nothing is raised, nothing is lost, and the work grows with the text only."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.gateway.output_parsers.examples import EXAMPLES
from tests.services.gateway.output_parsers.taking_apart import TOOLS, Out, family, fed, out, tokens_of, whole
from xylem.services.gateway.output_parsers import make_parser
from xylem.services.gateway.output_parsers.format_table import FORMATS
from xylem.services.gateway.output_parsers.model_family import THINKS
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer

# All that the formats are made of, so that garbage gets deep into them.
FRAGMENTS = sorted(
    {piece for example in EXAMPLES for piece in tokens_of(example.text)}
    | {
        "<tool_call>",
        "</tool_call>",
        '{"name": "now", "arguments": ',
        "[TOOL_CALLS]",
        "[ARGS]",
        "<function=now>",
        "[now(",
    }
    | {"<parameter=a>", "</parameter>", "</function>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "now"}
    | {"<think>", "</think>", "\\u", "\\ud83d", "\\", "{", "}", "[", "]", '"', "'", "\n", "<|start|>", "<|message|>"}
)
PARSERS = [(format_, "none") for format_ in FORMATS] + [("hermes", name) for name in THINKS]

garbage = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
parsers = st.sampled_from(PARSERS)


def everything(out: Out) -> str:
    content, reasoning, calls = out
    return content + reasoning + "".join(name + arguments for name, arguments in calls)


@st.composite
def pieces(draw: st.DrawFn) -> list[str]:
    text = draw(garbage | st.text(max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(max_examples=400)
@given(pieces(), parsers)
def test_what_is_out_depends_on_the_text_only(pieces: list[str], parser: tuple[str, str]) -> None:
    model = family(*parser)
    text = "".join(pieces)
    assert out(fed(model, pieces)) == out(fed(model, [text])) == out(fed(model, list(text)))
    assert whole(model, pieces) == whole(model, [text]) == whole(model, list(text))


@settings(max_examples=200)
@given(garbage, parsers)
def test_what_was_out_is_never_taken_back(text: str, parser: tuple[str, str]) -> None:
    model = family(*parser)
    before = out(fed(model, [text[: len(text) // 2]]))
    after = whole(model, [text])
    assert after[0].startswith(before[0])
    assert after[1].startswith(before[1])
    for earlier, later in zip(before[2], after[2], strict=False):
        assert (earlier[0], later[1][: len(earlier[1])]) == (later[0], earlier[1])


@settings(max_examples=400)
@given(st.lists(st.sampled_from([each for each in FRAGMENTS if "CALL_ID" not in each]), max_size=20), parsers)
def test_no_words_are_lost(fragments: list[str], parser: tuple[str, str]) -> None:
    """Whatever stands around it: a word that is part of no marker is somewhere in what comes out."""
    text = "".join(f"{fragment}w{at}w" for at, fragment in enumerate(fragments))
    found = everything(whole(family(*parser), [text]))
    for at in range(len(fragments)):
        # A backslash in front of a word says something else than the word, and \u takes some of it.
        if not fragments[at].endswith(("\\", "\\u")):
            assert f"w{at}w" in found


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="<[{◁", exclude_categories=["Cs"]), max_size=80), parsers)
def test_plain_text_is_itself(text: str, parser: tuple[str, str]) -> None:
    if not text.strip().startswith("to="):
        content, thoughts, calls = whole(family(*parser), list(text))
        opened = THINKS[parser[1]]
        assert calls == []
        if opened and opened.assumed and text.strip():  # of white space alone nobody can say
            assert (content, thoughts) == ("", text.lstrip())
        else:
            assert (content, thoughts) == (text, "")


def work(run: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> int:
    """How much was done: calls and resumptions of Python code, and characters that were put together from pieces."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    def measured(method: Callable[..., str]) -> Callable[..., str]:
        def measure(*args: Any, **named: Any) -> str:
            nonlocal count
            text = method(*args, **named)
            count += len(text)
            return text

        return measure

    with monkeypatch.context() as patch:
        patch.setattr(ParserBuffer, "take", measured(ParserBuffer.take))
        patch.setattr(ParserBuffer, "since", measured(ParserBuffer.since))
        sys.setprofile(counted)
        try:
            run()
        finally:
            sys.setprofile(None)
    return count


HARD = [
    "word and ",
    " ",
    "<",
    "<tool_call>",
    '<tool_call>{"name": "',
    '<tool_call>{"arguments": ["',
    '<tool_call>{"name": "now", "arguments": {"a": [',
    '{"arguments": {"',
    "[now(a=[",
    "[",
    "<function=get_weather><parameter=days>1",
    "<function=get_weather><parameter=city>\n",
    "<tool_call>get_weather<arg_key>a</arg_key><arg_value>",
    "<|channel|>",
    "<｜tool▁call▁begin｜>",
    "<|im_end|>",
    "<thin",
    "</thin",
    '\\"',
]


@pytest.mark.parametrize("format_", FORMATS)
def test_work_grows_with_the_text_and_not_with_its_square(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = family(format_, "qwen3")
    for unit in HARD:
        works = []
        for length in (300, 1200):
            text = ("<think>" + unit * length)[:length]
            opened = (unit * length)[:length]

            def run(texts: tuple[str, ...] = (text, opened)) -> None:
                for each in texts:
                    parser = make_parser(model, tools=TOOLS, thinking=True)
                    for char in each:
                        parser.push_text(char)
                    parser.flush_text()

            works.append(work(run, monkeypatch))
        assert works[1] < 6 * works[0], unit
        assert works[1] < 60 * 2 * 1200, unit
