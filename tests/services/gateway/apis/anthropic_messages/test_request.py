"""Bodies of /v1/messages as chat bodies."""

from typing import Any

import pytest

from xylem.services.gateway.apis.anthropic_messages.fields import CountTokensBody, MessagesBody
from xylem.services.gateway.apis.anthropic_messages.request import NAMES, chat_body
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.shared.runtime.errors import InvalidRequest

HI: list[Json] = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}


def translated(**more: Any) -> dict[str, Any]:
    body = {"max_tokens": 2000, "messages": HI, **more}
    return chat_body(body, MessagesBody.read(body))


def test_fields() -> None:
    chat = translated(
        model="tiny",
        system=[{"type": "text", "text": "Be ", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "x"}],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop_sequences=["x"],
        stream=True,
        metadata={"user_id": "ignored"},
        seed=1,
    )
    assert chat == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be x"}, *HI],
        "max_tokens": 2000,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "stop": ["x"],
        "stream": True,
        "seed": 1,
    }


def test_tools() -> None:
    chat = translated(tools=[{"name": "look", "description": "Looks.", "input_schema": SCHEMA, "type": "custom"}])
    function = {"name": "look", "description": "Looks.", "parameters": SCHEMA}
    assert chat["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize(
    ("choice", "chat"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
            {"tool_choice": {"type": "function", "function": {"name": "look"}}, "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], chat: dict[str, Any]) -> None:
    assert translated(tool_choice=choice) == {**translated(), **chat}


def test_thinking() -> None:
    for thinking, on in (
        ({"type": "enabled", "budget_tokens": 1024}, True),
        ({"type": "adaptive"}, True),
        ({"type": "disabled"}, False),
    ):
        assert translated(thinking=thinking)["chat_template_kwargs"] == {"enable_thinking": on}
    own = translated(thinking={"type": "disabled"}, chat_template_kwargs={"enable_thinking": True, "a": 1})
    assert own["chat_template_kwargs"] == {"enable_thinking": True, "a": 1}
    assert "chat_template_kwargs" not in translated()


def test_output() -> None:
    chat = translated(output_config={"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}})
    assert chat["reasoning_effort"] == "high"
    assert chat["response_format"]["json_schema"]["schema"] == SCHEMA


def test_blocks_of_a_conversation() -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "I look", "citations": None},
                {"type": "tool_use", "id": "1", "name": "look", "input": {"at": "x"}},
                {"type": "tool_use", "id": "2", "name": "wait", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "rain"},
                {
                    "type": "tool_result",
                    "tool_use_id": "2",
                    "content": [{"type": "text", "text": "no"}],
                    "is_error": True,
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    calls = [("1", "look", '{"at":"x"}'), ("2", "wait", "{}")]
    assert translated(messages=messages)["messages"] == [
        {"role": "user", "content": "ab"},
        {
            "role": "assistant",
            "content": "I look",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
                for i, name, arguments in calls
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "tool", "tool_call_id": "2", "content": "no"},
        {"role": "user", "content": "And?"},
    ]


HEADER = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.e9b; cc_entrypoint=cli;"}


def test_a_header_of_the_client_is_no_part_of_the_prompt() -> None:
    system = [HEADER, {"type": "text", "text": "Be brief."}]
    assert translated(system=system)["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    assert translated(system=[HEADER])["messages"] == HI
    body: dict[str, Any] = {"messages": HI, "system": system}
    kept: Any = chat_body(body, CountTokensBody.read(body), keeps_header=True)
    assert kept["messages"][0]["content"] == HEADER["text"] + "Be brief."


@pytest.mark.parametrize(
    "value",
    [None, {}, {"edits": []}, {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, {"new": {"a": None}}],
)
def test_context_management_that_clears_nothing(value: Any) -> None:
    assert translated(context_management=value) == translated()


@pytest.mark.parametrize(
    "edit",
    [
        {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}},
        {"type": "clear_thinking_20251015"},
        {"type": "clear_tool_uses_20250919", "keep": "all"},
    ],
)
def test_context_management_that_clears_something_is_refused(edit: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translated(context_management={"edits": [edit]})
    assert caught.value.param == "context_management.edits[0]"


def named_tools(**more: Any) -> list[str]:
    chat = translated(**more)
    return [tool["function"]["name"] for tool in chat.get("tools", [])]


def test_deferred_tools_come_when_they_are_found() -> None:
    tools = [
        {"name": "search", "input_schema": SCHEMA},
        {"name": "look", "input_schema": SCHEMA, "defer_loading": True},
    ]
    assert named_tools(tools=tools) == ["search"]
    assert named_tools(tools=tools, tool_choice={"type": "tool", "name": "look"}) == ["search", "look"]
    call = {"type": "tool_use", "id": "1", "name": "search", "input": {}}
    found = [{"type": "tool_reference", "tool_name": "look"}]
    result = {"type": "tool_result", "tool_use_id": "1", "content": found}
    messages: list[Any] = [*HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert named_tools(tools=tools, messages=messages) == ["search", "look"]
    assert translated(tools=tools, messages=messages)["messages"][-1]["content"] == "look\n"
    with pytest.raises(InvalidRequest, match="input_schema"):
        named_tools(tools=[tools[0], {"name": "look", "defer_loading": True}])


def test_tools_of_the_server_are_left_out() -> None:
    hosted = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]
    assert named_tools(tools=[*hosted, {"name": "look", "input_schema": SCHEMA}]) == ["look"]
    assert named_tools(tools=hosted) == []


def test_encrypted_thoughts_are_passed_over() -> None:
    blocks = [{"type": "redacted_thinking", "data": "Zm9v"}, {"type": "text", "text": "Yes."}]
    messages: list[Any] = [*HI, {"role": "assistant", "content": blocks}, *HI]
    assert translated(messages=messages)["messages"] == [*HI, {"role": "assistant", "content": "Yes."}, *HI]


def test_the_older_name_of_the_output_format() -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    assert translated(output_format=form) == translated(output_config={"format": form})
    with pytest.raises(InvalidRequest, match=r"output_config\.format\.type"):
        translated(output_format={"type": "yaml"})


def test_an_answer_that_is_begun_is_gone_on_with() -> None:
    chat = translated(messages=[*HI, {"role": "assistant", "content": "The"}])
    assert (chat["continue_final_message"], chat["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in translated()


def test_the_same_prompt_is_counted() -> None:
    body: JsonObject = {"messages": HI, "system": "Be brief.", "thinking": {"type": "disabled"}}
    counted = chat_body(body, CountTokensBody.read(body))
    asked = translated(system="Be brief.", thinking={"type": "disabled"})
    assert counted == {key: value for key, value in asked.items() if key != "max_tokens"}


def test_names_in_errors() -> None:
    for chat, here in (
        ("stop", "stop_sequences"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("tools[2].function.parameters", "tools[2].input_schema"),
        ("tool_choice.function.name", "tool_choice.name"),
        ("messages[0].content", "messages[0].content"),
    ):
        assert NAMES.translated(InvalidRequest(f"{chat} is wrong", param=chat)).message == f"{here} is wrong"
