"""Bodies of /v1/responses as chat bodies."""

from typing import Any

import pytest

from xylem.services.gateway.apis.openai_responses.fields import ResponsesBody
from xylem.services.gateway.apis.openai_responses.items import read_items, referenced_ids
from xylem.services.gateway.apis.openai_responses.translation import NAMES, chat_body
from xylem.services.gateway.generation.tools import read_tools
from xylem.shared.runtime.errors import InvalidRequest

TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": True}


def translated(**body: Any) -> dict[str, Any]:
    body = {"input": "Hi", **body}
    asked = ResponsesBody.read(body)
    return chat_body(body, asked, read_items(asked.input))


def test_fields() -> None:
    chat = translated(
        model="tiny",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=9,
        seed=1,
        stop=["x"],
        top_logprobs=2,
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        user="ignored",
        regex="a+",
    )
    assert chat == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "seed": 1,
        "stop": ["x"],
        "logprobs": True,
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "regex": "a+",
    }


def test_tools() -> None:
    chat = translated(tools=[TOOL], tool_choice={"type": "function", "name": "look"})
    assert chat["tools"] == [{"type": "function", "function": {key: TOOL[key] for key in TOOL if key != "type"}}]
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert translated(tool_choice="required")["tool_choice"] == "required"


SPAWN = {"type": "function", "name": "spawn", "parameters": {"type": "object"}}
SPACE = {"type": "namespace", "name": "agents", "description": "Many.", "tools": [SPAWN]}
PATCH = {
    "type": "custom",
    "name": "patch",
    "description": "Patches.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /x+/"},
}


def test_tools_of_a_namespace_carry_its_name() -> None:
    chat = translated(tools=[SPACE], tool_choice={"type": "function", "name": "spawn", "namespace": "agents"})
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["agents__spawn"]
    assert chat["tool_choice"]["function"]["name"] == "agents__spawn"
    call = {"type": "function_call", "call_id": "1", "name": "spawn", "namespace": "agents", "arguments": "{}"}
    (message,) = translated(tools=[SPACE], input=[call])["messages"]
    assert message["tool_calls"][0]["function"]["name"] == "agents__spawn"


def test_a_free_form_tool_is_a_function_with_one_argument() -> None:
    (tool,) = translated(tools=[PATCH], tool_choice={"type": "custom", "name": "patch"})["tools"]
    function = tool["function"]
    assert function["parameters"]["required"] == ["input"]
    assert function["description"].endswith("lark grammar:\nstart: /x+/")
    pattern = {"type": "grammar", "syntax": "regex", "definition": "a|b"}
    (tool,) = translated(tools=[{"type": "custom", "name": "pick", "format": pattern}])["tools"]
    assert tool["function"]["parameters"]["properties"]["input"]["pattern"] == "^(?:a|b)$"
    (tool,) = translated(tools=[{"type": "custom", "name": "say", "format": {"type": "text"}}])["tools"]
    assert tool["function"]["parameters"]["properties"] == {"input": {"type": "string"}}


def test_calls_of_free_form_tools_in_the_input() -> None:
    items = [
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "1", "name": "patch", "input": 'a "b"', "status": None},
        {"type": "custom_tool_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "done"}]},
    ]
    call, result = translated(input=items)["messages"]
    assert call["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"a \\"b\\""}'}
    assert result == {"role": "tool", "tool_call_id": "1", "content": "done"}


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview_2025_03_11", "file_search", "image_generation"])
def test_tools_that_nobody_runs_here_are_left_out(kind: str) -> None:
    assert "tools" not in translated(tools=[{"type": kind, "external_web_access": False}])
    assert len(translated(tools=[{"type": kind}, TOOL])["tools"]) == 1


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{"type": "wand"}], "tools[0].type"),
        ([{"type": "namespace", "name": "n", "tools": [SPACE]}], "tools[0].tools[0].type"),
        ([{"type": "namespace", "name": "n"}], "tools[0].tools"),
        ([{**PATCH, "format": {"type": "grammar", "syntax": "peg"}}], "tools[0].format.syntax"),
        ([{**PATCH, "format": {"type": "grammar", "syntax": "lark"}}], "tools[0].format.definition"),
        ([{**PATCH, "format": {"type": "yaml"}}], "tools[0].format.type"),
        ([{**TOOL, "colour": "red"}], "tools[0].colour"),
    ],
)
def test_wrong_tools_are_named(tools: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(tools=tools)
    assert caught.value.param == param


def test_references_stand_for_items_that_are_known() -> None:
    said = read_items("Hi")[0]
    reference: Any = {"type": "item_reference", "id": said.id}
    assert referenced_ids([reference, {"role": "user", "content": "x"}]) == [said.id]
    assert read_items([reference], {said.id: said}) == [said]
    with pytest.raises(InvalidRequest, match="there is no item") as caught:
        read_items([reference])
    assert caught.value.param == "input[0].id"


def test_encrypted_thoughts_are_passed_over() -> None:
    thought: dict[str, Any] = {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAA"}
    messages = translated(input=[{"role": "user", "content": "a"}, thought, {"role": "assistant", "content": "b"}])
    assert messages["messages"][-1]["content"] == "b"


def test_allowed_tools() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "patch"}]}
    chat = translated(tools=[PATCH, TOOL], tool_choice=choice)
    assert chat["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": [{"name": "patch"}]}
    assert read_tools(chat["tools"], chat["tool_choice"], parallel=True).must


def test_formats() -> None:
    assert "response_format" not in translated(text={"format": {"type": "text"}})
    assert translated(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    inner = {"name": "n", "schema": {"type": "object"}, "strict": True}
    assert translated(text={"format": form})["response_format"] == {"type": "json_schema", "json_schema": inner}


def test_a_turn_of_thoughts_text_and_calls_is_one_message() -> None:
    items = [
        {"role": "developer", "content": "Rules."},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "I look"}]},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "rain"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "sun"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "message", "role": "assistant", "content": "Both."},
    ]
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    assert translated(input=items, instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Rules."},
        {"role": "user", "content": "ab"},
        {
            "role": "assistant",
            "content": "I look",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "1", **call}, {"id": "2", **call}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "tool", "tool_call_id": "2", "content": "sun"},
        {"role": "assistant", "content": "Both.", "reasoning_content": "so"},
    ]


def test_two_turns_in_a_row_stay_two() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    said = {"role": "assistant", "content": "x"}
    messages = translated(input=[thought, said, thought, said])["messages"]
    assert messages == [{"role": "assistant", "content": "x", "reasoning_content": "hm"}] * 2


def test_names_in_errors() -> None:
    for chat, here in (
        ("messages[3].content", "input"),
        ("max_tokens", "max_output_tokens"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("tools[2].function.parameters", "tools[2].parameters"),
        ("tool_choice.function.name", "tool_choice.name"),
        ("temperature", "temperature"),
    ):
        error = NAMES.translated(InvalidRequest(f"{chat} is wrong, and {chat}s is another word", param=chat))
        assert (error.param, error.message) == (here, f"{here} is wrong, and {chat}s is another word")
    assert NAMES.translated(InvalidRequest("nobody's fault")).param is None
