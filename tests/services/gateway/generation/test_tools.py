"""Tools, the choice among them, and what they make of a request."""

import json
from dataclasses import replace
from typing import Any

import pytest

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.generation.tools import read_tools
from xylem.services.gateway.output_parsers import choose
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, ParsedOutput, Reasoning
from xylem.shared.runtime.errors import InvalidRequest

SERVED = ServedModel(model="tiny", context_length=64, vocab_size=512, max_choices=8)
HERMES = replace(SERVED, family=choose(template="<tool_call>"))
QWEN3 = replace(SERVED, family=choose(template="<tool_call> <think></think>"))


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters}
    return {"type": "function", "function": {"name": name, "description": None, "parameters": schema}}


TOOLS = [tool("weather", city={"type": "string"}), tool("time")]
CALLS = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>' * 2


def request_for(served: ServedModel = HERMES, **more: Any) -> GenerationRequest:
    return chat_request(ChatBody.read({"messages": [{"role": "user", "content": "x"}], **more}), served)


def said(request: GenerationRequest, text: str) -> ParsedOutput:
    parser, found = request.make_parser(""), ParsedOutput()
    for delta in (*parser.push_text(text), *parser.flush_text()):
        found.add_delta(delta)
    return found


def test_without_tools_text_is_text() -> None:
    assert not request_for().parses
    assert not request_for(tools=[]).parses
    assert not request_for(tools=TOOLS, tool_choice="none").parses
    assert request_for(tools=TOOLS, tool_choice="none").tools == b""


def test_auto_reads_calls_and_forces_none() -> None:
    request = request_for(tools=TOOLS)
    assert request.params.grammar is None
    found = said(request, "Hm. " + CALLS)
    assert found.content.strip() == "Hm."
    assert [(call.name, json.loads(call.arguments)) for call in found.calls] == [("weather", {"city": "Oslo"})] * 2
    assert [each["function"]["name"] for each in json.loads(request.tools)] == ["weather", "time"]
    assert "description" not in json.loads(request.tools)[0]["function"]


def test_one_call_when_parallel_ones_are_not_wanted() -> None:
    assert len(said(request_for(tools=TOOLS, parallel_tool_calls=False), CALLS).calls) == 1


@pytest.mark.parametrize(
    ("choice", "words", "absent"),
    [
        ("required", ["weather", "time"], []),
        ({"type": "function", "function": {"name": "time"}}, ["time"], ["weather"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
            ["weather"],
            ["time"],
        ),
    ],
)
def test_forced_calls_are_a_grammar(choice: Any, words: list[str], absent: list[str]) -> None:
    grammar = request_for(tools=TOOLS, tool_choice=choice).params.grammar
    assert grammar is not None
    assert grammar.kind == "structural_tag"
    assert grammar.after == ""
    assert all(f'\\"{word}\\"' in grammar.text for word in words)
    assert not any(f'\\"{word}\\"' in grammar.text for word in absent)


def test_tools_beside_a_schema_leave_the_choice_to_the_model() -> None:
    schema = {"type": "object", "properties": {"a": {"const": 1}}}
    for fields in ({"json_schema": schema}, {"response_format": {"type": "json_object"}}):
        grammar = request_for(tools=TOOLS, **fields).params.grammar
        assert grammar is not None
        calls, document = json.loads(grammar.text)["format"]["elements"]
        assert "weather" in json.dumps(calls)
        assert document == {"type": "json_schema", "json_schema": fields.get("json_schema", {"type": "object"})}


@pytest.mark.parametrize(
    "response_format", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}]
)
def test_a_format_of_the_text_is_met_when_there_is_none(response_format: Any) -> None:
    alone = request_for(tools=TOOLS, tool_choice="required").params.grammar
    assert request_for(tools=TOOLS, tool_choice="required", response_format=response_format).params.grammar == alone


def test_thinking_comes_before_a_grammar_and_out_of_the_text() -> None:
    forced = request_for(QWEN3, tools=TOOLS, tool_choice="required").params.grammar
    assert forced is not None
    assert (forced.opens, forced.after) == ("<think>", "</think>")
    request = request_for(QWEN3, regex="[0-9]+")
    assert request.params.grammar is not None
    assert request.params.grammar.after == "</think>"
    found = said(request, "<think>\nWell.\n</think>\n\n17")
    assert (found.reasoning, found.content) == ("Well.", "17")


def test_thinking_that_is_not_wanted_apart_or_not_at_all() -> None:
    together = request_for(QWEN3, separate_reasoning=False)
    assert not together.parses
    without = request_for(QWEN3, chat_template_kwargs={"enable_thinking": False}, regex="[0-9]+")
    # Whether the template does what it is told is seen at the end of the prompt.
    assert without.params.grammar is not None
    assert without.params.grammar.after == "</think>"
    assert without.parses
    assert set(without.answer_markers) > {"<think>", "</think>"}
    assert request_for().answer_markers == ()


def test_special_tokens_are_kept_where_they_are_markers() -> None:
    kimi = replace(SERVED, family=choose(tool_call_parser="kimi_k2"))
    assert request_for(kimi, tools=TOOLS).params.stop_conditions.keep_special
    assert not request_for(kimi).params.stop_conditions.keep_special
    assert not request_for(HERMES, tools=TOOLS).params.stop_conditions.keep_special


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "a", "strict": "yes"}}]}, "tools[0].function.strict"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "description": 1}}]},
            "tools[0].function.description",
        ),
        ({"tools": [tool("a"), tool("a")]}, "tools"),
        ({"tools": [tool(f"a{i}") for i in range(129)]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x", "tools": []}}},
            "tool_choice.allowed_tools.mode",
        ),
        (
            {
                "tools": TOOLS,
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"name": "x"}]}},
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"tools": TOOLS, "tool_choice": "required", "regex": "a"}, "tool_choice"),
        ({"tools": TOOLS, "regex": "a"}, "regex"),
        ({"tools": TOOLS, "json_schema": "{"}, "json_schema"),
    ],
)
def test_what_is_wrong_is_named(more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request_for(**more)
    assert caught.value.param == param


def test_a_model_without_a_form_of_calls_can_not_be_made_to_call() -> None:
    with pytest.raises(InvalidRequest, match="no known form") as caught:
        request_for(SERVED, tools=TOOLS, tool_choice="required")
    assert caught.value.param == "tool_choice"
    assert read_tools([*TOOLS], None, parallel=True).definitions


def test_kinds_of_deltas_add_up() -> None:
    found = ParsedOutput()
    for delta in (Reasoning("a"), Content("b"), CallBegun(0, "f"), CallArguments(0, "{"), CallArguments(0, "}")):
        found.add_delta(delta)
    assert (found.reasoning, found.content, found.calls[0].arguments) == ("a", "b", "{}")


def strict(value: Any) -> list[dict[str, Any]]:
    first, *others = TOOLS
    return [{**first, "function": {**first["function"], "strict": value}}, *others]


def test_a_strict_tool_is_kept_to_where_calls_are_the_models_choice() -> None:
    grammar = request_for(tools=strict(True)).params.grammar
    assert grammar is not None
    assert (grammar.kind, grammar.param) == ("structural_tag", "tools")
    assert json.loads(grammar.text)["format"]["elements"][0]["type"] == "triggered_tags"
    for value in (False, None):
        assert request_for(tools=strict(value)).params.grammar is None
    assert request_for(SERVED, tools=strict(True)).params.grammar is None
    thinking = request_for(QWEN3, tools=strict(True)).params.grammar
    assert thinking is not None
    assert thinking.after == "</think>"


def test_a_named_tool_is_noted() -> None:
    named = {"type": "function", "function": {"name": "time"}}
    assert request_for(tools=TOOLS, tool_choice=named).names_tool
    assert not request_for(tools=TOOLS, tool_choice="required").names_tool
