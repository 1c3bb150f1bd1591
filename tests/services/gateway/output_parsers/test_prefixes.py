"""Where an answer begins is what the prompt's end says."""

import pytest

from tests.services.gateway.output_parsers.taking_apart import TOOLS, Out, out, splits_of
from xylem.services.gateway.output_parsers import Family, choose, make_parser
from xylem.services.gateway.output_parsers.deltas import ParsedOutput

CALL = ("get_weather", '{"city": "Paris"}')


def told(family: Family, prefix: str, text: str, *, is_cut: bool = False) -> Out:
    outs = []
    for pieces in splits_of(text):
        parser, said = make_parser(family, tools=TOOLS, thinking=True, prefix=prefix), ParsedOutput()
        for piece in pieces:
            for delta in parser.push_text(piece):
                said.add_delta(delta)
        for delta in parser.flush_text(is_cut=is_cut):
            said.add_delta(delta)
        outs.append(out(said))
    assert outs == [outs[0]] * len(outs)
    return outs[0]


HYBRID = choose(tool_call_parser="hermes", reasoning_parser="qwen3")
ASSUMED = choose(tool_call_parser="deepseek_v3", reasoning_parser="deepseek_r1")
KIMI = choose(tool_call_parser="hermes", reasoning_parser="kimi")
MISTRAL = choose(tool_call_parser="mistral", reasoning_parser="mistral")
GPT_OSS = choose(tool_call_parser="gpt_oss")


@pytest.mark.parametrize(
    ("family", "prefix", "text", "expected"),
    [
        # The prompt has opened the thoughts.
        (HYBRID, "<think>", "Hm.</think>Yes", ("Yes", "Hm.", [])),
        (HYBRID, "<think>\n", "Hm.\n</think>\n\nYes", ("Yes", "Hm.", [])),
        (ASSUMED, "<think>\n", "Hm.\n</think>\n\nYes", ("Yes", "Hm.", [])),
        (KIMI, "◁think▷", "Hm◁/think▷Yes", ("Yes", "Hm", [])),
        (MISTRAL, "[THINK]", "Hm[/THINK]Yes", ("Yes", "Hm", [])),
        (HYBRID, "<think>\n", "No end", ("", "No end", [])),
        (HYBRID, "<think>\n", "<think>\nHm.</think>Yes", ("Yes", "<think>\nHm.", [])),
        # It has closed them.
        (HYBRID, "</think>", "Yes", ("Yes", "", [])),
        (HYBRID, "<think>\n\n</think>\n\n", "Yes", ("Yes", "", [])),
        (ASSUMED, "</think>", "Yes", ("Yes", "", [])),
        (ASSUMED, "<think>\n\n</think>\n\n", "Yes", ("Yes", "", [])),
        (KIMI, "◁think▷◁/think▷", "Yes", ("Yes", "", [])),
        (MISTRAL, "[THINK][/THINK]", "Yes", ("Yes", "", [])),
        # It says nothing.
        (HYBRID, "", "<think>Hm.</think>Yes", ("Yes", "Hm.", [])),
        (HYBRID, "", "Yes", ("Yes", "", [])),
        (HYBRID, "", "</think>Yes", ("Yes", "", [])),
        (ASSUMED, "", "Hm.</think>Yes", ("Yes", "Hm.", [])),
        # A message goes on.
        (HYBRID, "<think>\nLet me", " see.</think>Yes", ("Yes", " see.", [])),
        (HYBRID, "<think>\nHm.\n</think>\n\nSo", " yes", (" yes", "", [])),
        (HYBRID, "So", " <think> is a word", (" <think> is a word", "", [])),
        (ASSUMED, "So", " yes", (" yes", "", [])),
        (ASSUMED, "Hm.</think>So", " yes", (" yes", "", [])),
        (HYBRID, "<think>Hm.</thi", "nk>Yes", ("Yes", "", [])),
        (HYBRID, "<think>Hm.</thi", "s>.</think>Yes", ("Yes", "s>.", [])),
        (HYBRID, "<thi", "nk>Hm.</think>Yes", ("Yes", "Hm.", [])),
        (HYBRID, "<think>Hm ", "so</think>Yes", ("Yes", "so", [])),
        (MISTRAL, "[THINK]Hm[/", "THINK]Yes", ("Yes", "", [])),
        # A call goes on, and is told whole.
        (HYBRID, '<tool_call>\n{"name": "get_wea', f'ther", "arguments": {CALL[1]}}}</tool_call>', ("", "", [CALL])),
        (HYBRID, '<tool_call>{"name": "get_weather", "arguments": {"city": "Pa', 'ris"}}', ("", "", [CALL])),
        (MISTRAL, "Sure.[TOOL_CALLS]get_weather[ARGS]", CALL[1], ("", "", [CALL])),
        # Channels.
        (GPT_OSS, "<|channel|>final<|message|>", "Yes", ("Yes", "", [])),
        (GPT_OSS, "<|channel|>final<|message|>So", " yes<|return|>", (" yes", "", [])),
        (
            GPT_OSS,
            "<|channel|>analysis<|message|>Let me",
            " see.<|end|><|start|>assistant<|channel|>final<|message|>Yes",
            ("Yes", " see.", []),
        ),
    ],
)
def test_how_an_answer_goes_on_from_the_prompts_end(family: Family, prefix: str, text: str, expected: Out) -> None:
    assert told(family, prefix, text) == expected
