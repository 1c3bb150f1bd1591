"""Bodies of /v1/responses as chat bodies."""

from typing import Any

from xylem.services.gateway.apis.openai_responses.fields import ResponsesBody
from xylem.services.gateway.apis.openai_responses.items import read_items
from xylem.services.gateway.apis.openai_responses.translation import NAMES, chat_body
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
