"""The beginning of an answer that a prompt ends with, for templates of many families."""

from typing import Any

import pytest

from tests import chat_templates as templates
from xylem.services.tokenizer.answer_prefix import MAX_CHARS, answer_prefix
from xylem.services.tokenizer.chat_template import ChatTemplate

THINK = ("<think>", "</think>", "<tool_call>", "</tool_call>")
BRACKETS = ("[THINK]", "[/THINK]", "[TOOL_CALLS]")
CHANNEL = ("<|channel|>",)


def prefix_of(template: str, messages: list[dict[str, Any]], markers: tuple[str, ...] = THINK, **arguments: Any) -> str:
    rendered = ChatTemplate({"default": template}, {})
    prompt = rendered.render_messages(messages, [], arguments)
    return rendered.answer_prefix(prompt, markers, messages, [], arguments)


def user(text: str = "Hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


@pytest.mark.parametrize(
    ("template", "markers", "arguments", "expected"),
    [
        (templates.QWEN3, THINK, {}, ""),
        (templates.QWEN3, THINK, {"enable_thinking": True}, ""),
        (templates.QWEN3, THINK, {"enable_thinking": False}, "<think>\n\n</think>\n\n"),
        (templates.DEEPSEEK_V31, THINK, {}, "</think>"),
        (templates.DEEPSEEK_V31, THINK, {"thinking": False}, "</think>"),
        (templates.DEEPSEEK_V31, THINK, {"thinking": True}, "<think>"),
        (templates.ALWAYS_THINKING, THINK, {}, "<think>\n"),
        (templates.ALWAYS_THINKING, THINK, {"enable_thinking": False}, "<think>\n"),
        (templates.ALWAYS_THINKING, THINK, {"add_generation_prompt": False}, ""),
        (templates.ALWAYS_OPEN, THINK, {}, "<think>"),
        (templates.MISTRAL, BRACKETS, {}, ""),
        (templates.MISTRAL, BRACKETS, {"think": True}, "[THINK]"),
        (templates.GPT_OSS, CHANNEL, {}, ""),
        (templates.GPT_OSS, CHANNEL, {"no_thoughts": True}, "<|channel|>final<|message|>"),
    ],
)
@pytest.mark.parametrize("said", ["Hi", "What do <think>, </think>, [THINK] and <|channel|> mean?", "think", ""])
def test_the_prompts_own_end_counts_and_not_what_is_spoken_of(
    template: str, markers: tuple[str, ...], arguments: dict[str, Any], expected: str, said: str
) -> None:
    assert prefix_of(template, [user(said)], markers, **arguments) == expected


def test_thoughts_of_earlier_turns_do_not_count() -> None:
    chat = [user(), assistant("<think>\nHm.\n</think>\n\nHello."), user("And now?")]
    for template in (templates.QWEN3, templates.DEEPSEEK_V31, templates.ALWAYS_THINKING):
        assert prefix_of(template, chat) == prefix_of(template, [user()])
    result = {"role": "tool", "content": "<think>7</think>"}
    called = assistant("Let me see.", tool_calls=[{"function": {"name": "f", "arguments": "{}"}}])
    assert prefix_of(templates.DEEPSEEK_V31, [user(), called, result]) == ""


@pytest.mark.parametrize(
    ("template", "content", "expected"),
    [
        (templates.ALWAYS_THINKING, "The answer", "The answer"),
        (templates.ALWAYS_THINKING, "<think>\nLet me", "<think>\nLet me"),
        (templates.ALWAYS_THINKING, "<think>\nHm.\n</think>\n\nSo", "<think>\nHm.\n</think>\n\nSo"),
        (templates.ALWAYS_THINKING, "<think>Hm.</thi", "<think>Hm.</thi"),
        (templates.ALWAYS_THINKING, "<think>", "<think>"),
        (templates.ALWAYS_THINKING, "", ""),
        (templates.QWEN3, "<think>\nLet me", "<think>\nLet me"),
        (templates.QWEN3, "<think>\nHm.\n</think>\n\nSo", "<think>\nHm.\n</think>\n\nSo"),
        (templates.DEEPSEEK_V31, "So", "</think>So"),
        (templates.QWEN3, '<tool_call>\n{"name": "f"', '<tool_call>\n{"name": "f"'),
    ],
)
def test_a_message_that_is_continued_is_the_answers_beginning(template: str, content: str, expected: str) -> None:
    for chat in ([user(), assistant(content)], [user("<think> x"), assistant("a"), user("b"), assistant(content)]):
        assert prefix_of(template, chat, continue_final_message=True) == expected
    assert prefix_of(template, [assistant(content)], continue_final_message=True) in (expected, content)


def test_a_channel_that_is_continued() -> None:
    chat = [user(), assistant("So far", thinking="Hm")]
    prefix = prefix_of(templates.GPT_OSS, chat, CHANNEL, continue_final_message=True)
    assert prefix == "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>So far"


def test_a_template_that_refuses_an_unfinished_conversation() -> None:
    strict = (
        "{% if messages[-1].role != 'assistant' and not add_generation_prompt %}{{ raise_exception('no') }}{% endif %}"
    )
    template = strict + templates.ALWAYS_THINKING
    assert prefix_of(template, [user("<think>?")]) == "<think>\n"
    assert prefix_of(template, [user(), assistant("<think>a")], continue_final_message=True) == "<think>a"


def test_a_long_message_is_told_by_its_ends() -> None:
    content = "<think>" + "a" * MAX_CHARS + "</think>So"
    told = prefix_of(templates.ALWAYS_THINKING, [user(), assistant(content)], continue_final_message=True)
    assert len(told) == MAX_CHARS
    assert (told[:8], told[-11:]) == ("<think>a", "a</think>So")


def test_the_conversation_is_rendered_again_only_where_that_can_matter() -> None:
    def never() -> str:
        raise AssertionError

    assert answer_prefix("<u>Hi<a>", THINK, None, never) == ""
    assert answer_prefix("<u>Hi<a><think>\n", THINK, None, lambda: "<u>Hi") == "<think>\n"
    assert answer_prefix("<u>Hi<think><think>\n", THINK, None, lambda: "<u>Hi<think>") == "<think>\n"
    assert answer_prefix("<u>what is <think>?<a>", THINK, None, lambda: "<u>what is <think>?") == ""
