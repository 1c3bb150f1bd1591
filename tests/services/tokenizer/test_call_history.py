"""Calls of earlier turns, as each API takes them from its clients and as chat templates write them."""

import json
from typing import Any

import pytest

from tests import chat_templates as templates
from xylem.services.gateway.apis.anthropic_messages.fields import MessagesBody
from xylem.services.gateway.apis.anthropic_messages.request import chat_body as chat_body_of_messages
from xylem.services.gateway.apis.openai_chat.messages import read_messages
from xylem.services.gateway.apis.openai_responses.items import messages_of, read_items
from xylem.services.tokenizer.chat_template import ChatTemplate
from xylem.services.tokenizer.template_messages import parse_messages
from xylem.shared.model_info.template_values import AbsentContent, ArgumentsObject

ASK: dict[str, Any] = {"role": "user", "content": "Hi"}
MISSING = object()


def render(template: str, messages: Any) -> str:
    """What the tokenizer renders of chat messages that a client sent."""
    rendered = ChatTemplate({"default": template}, {})
    return rendered.render_messages(parse_messages(read_messages(messages)), [], {"add_generation_prompt": False})


def chat(arguments: Any, content: Any) -> Any:
    function = {"name": "f"} if arguments is MISSING else {"name": "f", "arguments": arguments}
    message = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    return [ASK, message if content is MISSING else {**message, "content": content}]


def responses(arguments: Any, content: Any) -> Any:
    call: dict[str, Any] = {"type": "function_call", "call_id": "1", "name": "f"}
    said: list[Any] = [{"role": "assistant", "content": content}] if isinstance(content, str) else []
    items = read_items([ASK, *said, call if arguments is MISSING else {**call, "arguments": arguments}])
    return [message.to_json() for message in messages_of(items, None)]


def messages(arguments: Any, content: Any) -> Any:
    call = {"type": "tool_use", "id": "1", "name": "f"}
    said = [{"type": "text", "text": content}] if isinstance(content, str) else []
    blocks = [*said, call if arguments is MISSING else {**call, "input": arguments}]
    body: dict[str, Any] = {"max_tokens": 5, "messages": [ASK, {"role": "assistant", "content": blocks}]}
    return chat_body_of_messages(body, MessagesBody.read(body))["messages"]


each_api = pytest.mark.parametrize("api", [chat, responses, messages])
FAMILIES = {
    templates.DEEPSEEK_V3_CALLS: "<call>f\n```json\n%s\n```</call>",
    templates.TOJSON_CALLS: '<say></say><call>{"name": "f", "arguments": %s}</call>',
    templates.PRINTED_CALLS: "<none><call>f(%s)</call>",
}


@each_api
@pytest.mark.parametrize("content", [None, "", MISSING])
@pytest.mark.parametrize(
    "arguments",
    ["", "  ", None, MISSING, "null", "[]", "5", '"x"', "{", '{"a": ', "text", 7, True, [], ["a"], {}, "{}"],
)
def test_what_is_no_object_is_no_arguments(api: Any, content: Any, arguments: Any) -> None:
    for template, expected in FAMILIES.items():
        assert render(template, api(arguments, content)) == expected % "{}"
    assert render(templates.ITEMS_CALLS, api(arguments, content)) == "<call>f</call>"


@each_api
@pytest.mark.parametrize("content", [None, "", MISSING])
def test_an_object_is_written_as_each_template_wants_it(api: Any, content: Any) -> None:
    value = {"city": "Zürich", "days": [1, None]}
    for arguments in (value, json.dumps(value, ensure_ascii=False), json.dumps(value)):
        text = render(templates.TOJSON_CALLS, api(arguments, content))
        assert text == '<say></say><call>{"name": "f", "arguments": {"city": "Zürich", "days": [1, null]}}</call>'
        items = render(templates.ITEMS_CALLS, api(arguments, content))
        assert items == "<call>f<key>city</key>Zürich<key>days</key>[1, None]</call>"
        for template in (templates.DEEPSEEK_V3_CALLS, templates.PRINTED_CALLS):
            before, after = FAMILIES[template].split("%s")
            written = render(template, api(arguments, content))
            assert json.loads(written.removeprefix(before).removesuffix(after)) == value


def test_a_string_is_added_as_the_model_wrote_it() -> None:
    assert '\n{ "a":1}\n' in render(templates.DEEPSEEK_V3_CALLS, chat(' { "a":1}', None))


@each_api
def test_what_is_said_beside_a_call_stays(api: Any) -> None:
    assert render(templates.TOJSON_CALLS, api("{}", "I look.")).startswith("<say>I look.</say><call>")
    assert render(templates.ITEMS_CALLS, api("{}", "I look.")) == "<say>I look.</say><call>f</call>"
    assert render(templates.PRINTED_CALLS, api("{}", "I look.")) == "I look.<call>f({})</call>"


@pytest.mark.parametrize("content", [None, "", []])
def test_a_message_without_calls_has_an_empty_content(content: Any) -> None:
    others: list[dict[str, Any]] = [{}, {"tool_calls": []}, {"tool_calls": None}]
    for more in others:
        said = [ASK, {"role": "assistant", "content": content, **more}]
        assert render(templates.DEEPSEEK_V3_CALLS, said) == "<say></say>"


def test_calls_may_come_without_their_envelope() -> None:
    said = [ASK, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": None}]}]
    assert render(templates.TOJSON_CALLS, said) == FAMILIES[templates.TOJSON_CALLS] % "{}"


def test_the_values_are_all_that_templates_take_them_for() -> None:
    content = AbsentContent()
    assert content == ""
    assert content == None  # noqa: E711 - as templates write it
    assert not content
    assert content != "x"
    assert (content + "x", f"{content}", json.dumps(content), content in ("", "x")) == ("x", "", '""', True)
    arguments = ArgumentsObject('{"a":1}')
    assert arguments == {"a": 1}
    assert ("<" + arguments + ">", f"{arguments}", json.dumps(arguments)) == ('<{"a":1}>', '{"a":1}', '{"a": 1}')
