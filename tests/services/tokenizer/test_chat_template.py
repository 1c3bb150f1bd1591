"""Rendering and encoding against transformers' apply_chat_template on the same folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests import tokenizer_kinds as kinds
from xylem.services.tokenizer.chat_template import ChatTemplate
from xylem.services.tokenizer.template_messages import parse_messages
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.runtime.errors import InvalidRequest

CHATML = """{% for message in messages %}
    {{- '<|user|>' + message.role + '\\n' + message.content + '<|end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
TRIMMED = """{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] | trim }}{{ eos_token }}
{% endfor %}"""
ALTERNATING = """{% for m in messages %}
{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Roles must alternate: ' ~ m.role) }}
{% endif %}
{{ m.content }}
{% endfor %}"""
TOOLS = """{%- if tools %}
{{ '# Tools' }}
{%- for tool in tools %}
{{ tool | tojson }}
{{ tool.function | tojson(indent=2) }}
{%- endfor %}
{%- endif %}
{%- for m in messages %}
{%- if m.tool_calls %}
{%- for call in m.tool_calls %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}
{%- elif m.content is defined %}{{ m.content }}{% endif %}
{%- endfor %}"""
LOOPS = """{% set ns = namespace(last=none) %}{% for m in messages %}
{% if m.role == 'system' %}{% continue %}{% endif %}
{% if loop.index > 3 %}{% break %}{% endif %}
{% set ns.last = m.role %}{{ m.content.split(' ')[-1] ~ loop.index }}
{% generation %}{{ m.role[::-1] }}{% endgeneration %}
{% endfor %}{{ ns.last }}{{ dict(a=1) | tojson }} {{ strftime_now('%Y') | length }}"""
ARGUMENTS = (
    "{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking %}<no>{% endif %}{{ documents }}"
)

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief & <b>kind</b>."},
    {"role": "user", "content": "héllo 'you' 🙂 "},
    {"role": "assistant", "content": "  Hi.\n", "tool_calls": None},
    {"role": "user", "content": "And <|end|> now?"},
]
CALL = {"id": "1", "type": "function", "function": {"name": "w", "arguments": {"city": "Zürich <1>"}}}
CALLS: list[dict[str, Any]] = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "22°"},
]
TOOL = {"type": "function", "function": {"name": "w", "description": "a <b> & 'c' é", "parameters": {"type": "object"}}}


def folder_with(path: Path, template: Any, **config: Any) -> Path:
    named = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast", **config}
    return kinds.write_model(path, kinds.byte_level(), chat_template=template, **named)


def render(folder: Path, messages: Any, tools: Any = (), /, **arguments: Any) -> str:
    template = ChatTemplate.load(TextCodec.load(folder))
    return template.render_messages(parse_messages(json.dumps(messages).encode()), list(tools), arguments)


@pytest.mark.parametrize("template", [CHATML, TRIMMED, TOOLS, LOOPS, ARGUMENTS])
@pytest.mark.parametrize(
    ("messages", "tools", "arguments"),
    [
        (CHAT, [], {}),
        (CHAT[:2], [], {"add_generation_prompt": False}),
        (CHAT[:1], [TOOL, TOOL], {"enable_thinking": False, "eos_token": "!"}),
    ],
)
def test_equals_transformers(tmp_path: Path, template: str, messages: Any, tools: Any, arguments: Any) -> None:
    folder = folder_with(tmp_path, template)
    theirs = AutoTokenizer.from_pretrained(folder)
    given = {"add_generation_prompt": True, **arguments}
    text = render(folder, messages, tools, **arguments)
    assert text == theirs.apply_chat_template(messages, tools=tools or None, tokenize=False, **given)
    ids = theirs.apply_chat_template(messages, tools=tools or None, tokenize=True, return_dict=False, **given)
    assert TextCodec.load(folder).encode(text, add_special_tokens=False) == ids


def test_tool_calls_equal_transformers_with_arguments_in_either_form(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, TOOLS)
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        CALLS, tokenize=False, add_generation_prompt=True
    )
    as_sent = json.loads(json.dumps(CALLS))
    function = as_sent[1]["tool_calls"][0]["function"]
    function["arguments"] = json.dumps(function["arguments"])
    assert render(folder, CALLS) == render(folder, as_sent) == theirs
    assert '{"city": "Zürich <1>"}' in theirs


@pytest.mark.parametrize("template", [CHATML, TRIMMED])
@pytest.mark.parametrize("content", ["The answer", "The answer ", "The\nanswer \n"])
def test_continues_the_last_message_like_transformers(tmp_path: Path, template: str, content: str) -> None:
    folder = folder_with(tmp_path, template)
    messages = [*CHAT[:2], {"role": "assistant", "content": content}]
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        messages, tokenize=False, continue_final_message=True
    )
    assert render(folder, messages, continue_final_message=True) == theirs


def test_where_templates_are_found(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T{{ tools | length }}"}]
    folder = folder_with(tmp_path, named)
    assert (render(folder, CHAT), render(folder, CHAT, [TOOL])) == ("D", "T1")
    (folder / "chat_template.jinja").write_text("file é", encoding="utf-8")
    assert render(folder, CHAT, [TOOL]) == "file é"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("tools")
    assert render(folder, CHAT, [TOOL]) == "tools"


def test_developers_are_the_system_and_text_parts_are_joined(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, CHATML)
    parts = [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]
    text = render(folder, [{"role": "developer", "content": "x"}, {"role": "user", "content": parts}])
    assert text == "<|user|>system\nx<|end|>\n<|user|>user\nAnd now?<|end|>\n<|assistant|>"


@pytest.mark.parametrize(
    ("template", "messages", "arguments", "words"),
    [
        (ALTERNATING, CHAT, {}, "the chat template refuses the messages: Roles must alternate: system"),
        (CHATML, [{"role": "user"}], {}, "chat template"),
        ("{{ messages[0].content + 1 }}", CHAT, {}, "can't render the messages: TypeError"),
        ("{{ ''.__class__.__mro__ }}{{ messages.append(1) }}", CHAT, {}, "refuses the messages"),
        (None, CHAT, {}, "no chat template"),
        ([{"name": "rag", "template": "x"}], CHAT, {}, "no chat template"),
        (CHATML, [], {}, "must not be empty"),
        (CHATML, {"role": "user"}, {}, "must be a list"),
        (CHATML, ["hi"], {}, "must be an object with a role"),
        (CHATML, [{"role": "user", "content": [{"type": "image_url"}]}], {}, "only parts of type text"),
        (CHATML, CHAT, {"messages": []}, "can't set messages"),
        (CHATML, CHAT, {"continue_final_message": True, "add_generation_prompt": True}, "exclude one another"),
        (CHATML, CALLS[:2], {"continue_final_message": True}, "has no content"),
        ("fixed", CHAT, {"continue_final_message": True}, "does not show the last message"),
    ],
)
def test_what_is_refused(tmp_path: Path, template: Any, messages: Any, arguments: Any, words: str) -> None:
    folder = (
        folder_with(tmp_path, template) if template is not None else kinds.write_model(tmp_path, kinds.byte_level())
    )
    with pytest.raises(InvalidRequest, match=words) as caught:
        render(folder, messages, **arguments)
    assert caught.value.param


def test_messages_that_are_no_json() -> None:
    with pytest.raises(InvalidRequest, match="messages is not valid JSON"):
        parse_messages(b'[{"role": ')
    with pytest.raises(InvalidRequest):
        parse_messages(b"[" * 100_000)


@pytest.mark.parametrize(("template", "words"), [("{% for %}", "line 1"), (7, "neither a template nor a list")])
def test_a_broken_template_is_found_at_start(tmp_path: Path, template: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        ChatTemplate.load(TextCodec.load(folder_with(tmp_path, template)))
