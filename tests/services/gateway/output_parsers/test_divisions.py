"""However a text is divided into deltas, its thoughts, content and calls are the same: for every format."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.gateway.output_parsers.taking_apart import TOOLS, Out, out
from tests.services.gateway.output_parsers.test_calls_in_thoughts import MARKED, THINKS, THOUGHTS
from tests.services.gateway.output_parsers.test_grammar import PARIS
from xylem.services.gateway.output_parsers import choose, make_parser
from xylem.services.gateway.output_parsers.deltas import ParsedOutput

CALLS = [("get_weather", PARIS), ("now", "{}")]
GPT_OSS = (
    "<|channel|>analysis<|message|>{thoughts}<|end|><|start|>assistant<|channel|>commentary<|message|>{said}<|end|>"
    "<|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>" + PARIS + "<|call|>"
)
PIECES = ["Hm", "a < b", "x", "<br>", "{", "]", "é🙂", "\n", "1."]
sentences = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map(lambda each: f"so {' '.join(each).strip()}.")


def text_of(format_: str, thoughts: str, said: str) -> tuple[str, Out]:
    """An answer that thinks, says something and calls, and what is in it."""
    if format_ == "gpt_oss":
        return GPT_OSS.replace("{thoughts}", thoughts).replace("{said}", said), (said, thoughts, CALLS[:1])
    begin, end = THOUGHTS[THINKS.get(format_, "qwen3")]
    return f"{begin}{thoughts}{end}{said}{MARKED[format_]}", (said, thoughts, CALLS)


@pytest.mark.parametrize("format_", [*MARKED, "gpt_oss"])
@settings(max_examples=20)
@given(data=st.data())
def test_any_division_of_a_text_gives_the_same(format_: str, data: st.DataObject) -> None:
    thoughts, said = data.draw(sentences), data.draw(sentences)
    text, expected = text_of(format_, thoughts, said)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=30)))
    # What the prompt holds of the answer is one more division.
    num_in_prompt = data.draw(st.sampled_from([0, 0, 1, len(thoughts)]))
    parser = make_parser(
        choose(tool_call_parser=format_, reasoning_parser=THINKS.get(format_, "" if format_ == "gpt_oss" else "qwen3")),
        tools=TOOLS,
        thinking=True,
        prefix=text[:num_in_prompt],
    )
    found = ParsedOutput()
    for start, end in pairwise([num_in_prompt, *(cut for cut in cuts if cut > num_in_prompt), len(text)]):
        for delta in parser.push_text(text[start:end]):
            found.add_delta(delta)
    for delta in parser.flush_text():
        found.add_delta(delta)
    content, reasoning, calls = out(found)
    assert (content, calls) == (expected[0], expected[2])
    assert expected[1].endswith(reasoning) if num_in_prompt else reasoning == expected[1]
