"""Chat messages become plain, or are refused with their place."""

import json
from typing import Any

import pytest

from xylem.services.gateway.apis.openai_chat.messages import read_messages
from xylem.shared.runtime.errors import InvalidRequest


def plain(*messages: Any) -> Any:
    return json.loads(read_messages(list(messages)))


def test_developer_is_system_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "And "}, {"type": "text", "text": "now?", "cache_control": {"type": "x"}}]
    assert plain({"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "And now?"},
    ]


def test_what_the_sdk_sends_back() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assistant: dict[str, Any] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "refusal": None,
        "annotations": [],
    }
    assistant["provider_specific_fields"] = {"refusal": None}
    tool = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    assert plain(assistant, tool) == [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
    ]


def test_what_says_nothing_is_let_through() -> None:
    empty = {"colour": {}, "audio": {"id": None}, "annotations": [], "weight": 0, "pinned": False, "tags": [{"a": ""}]}
    marks = {"id": "m1", "created_at": 17, "metadata": {"a": "b"}, "cache_control": {"type": "ephemeral"}}
    assert plain({"role": "user", "content": "x", **empty, **marks}) == [{"role": "user", "content": "x"}]


def test_thoughts_under_both_names() -> None:
    said = {"role": "assistant", "content": "x", "reasoning_content": "hm"}
    assert plain({"role": "assistant", "content": "x", "reasoning": "hm"}) == [said]
    assert plain({**said, "reasoning": "hm"}) == [said]
    assert plain({**said, "reasoning": {}}) == [said]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ("hi", "messages"),
        ([], "messages"),
        (["hi"], "messages[0]"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": ["b"]}], "messages[1].content[0]"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 1}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": "x", "name": 1}], "messages[0].name"),
        ([{"role": "user", "content": "x", "audio": {"id": "a"}}], "messages[0].audio"),
        ([{"role": "user", "content": "x", "colour": "red"}], "messages[0].colour"),
        ([{"role": "user", "content": "x", "colour": {"hue": [0, {"dark": 1}]}}], "messages[0].colour"),
        (
            [{"role": "assistant", "content": "x", "provider_specific_fields": {"signature": "s"}}],
            "messages[0].provider_specific_fields",
        ),
        ([{"role": "assistant", "tool_calls": "x"}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": ["x"]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"function": "f"}]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "messages[0].tool_calls[0].function.name"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "messages[0].tool_calls[0].function.name"),
    ],
)
def test_refusals_say_where(messages: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_messages(messages)
    assert caught.value.param == param
    assert len(caught.value.message) > 10
