"""What the chat template renders, to the letter."""

from itertools import islice
from random import Random
from typing import Any

import pytest
from transformers import AutoTokenizer

from tools.demo_model.chat import pieces
from tools.demo_model.corpus import conversation
from tools.demo_model.kinds import KINDS
from xylem.demo_model import MODEL_PATH

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
CALL_TEXT = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(MODEL_PATH)


def render(tokenizer: Any, messages: list[dict[str, Any]], **options: Any) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))


def test_several_turns(tokenizer: Any) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And now?"},
    ]
    assert render(tokenizer, messages, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nAnd now?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_no_system_prompt_is_made_up(tokenizer: Any) -> None:
    assert render(tokenizer, [{"role": "user", "content": "Hi"}]) == "<|im_start|>user\nHi<|im_end|>\n"


def test_tools_and_a_call_and_its_result(tokenizer: Any) -> None:
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "21 degrees", "tool_call_id": "1"},
    ]
    assert render(tokenizer, messages, tools=[TOOL], add_generation_prompt=True) == (
        '<|im_start|>system\n<tools>\n{"name": "get_weather", "parameters": {"type": "object", "properties": '
        '{"city": {"type": "string"}}}}\n</tools><|im_end|>\n'
        f"<|im_start|>user\nWeather?<|im_end|>\n<|im_start|>assistant\n{CALL_TEXT}<|im_end|>\n"
        "<|im_start|>tool\n21 degrees<|im_end|>\n<|im_start|>assistant\n"
    )


def test_arguments_as_text_render_the_same(tokenizer: Any) -> None:
    as_text = {"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    one = render(tokenizer, [{"role": "assistant", "content": "", "tool_calls": [CALL]}])
    assert one == render(tokenizer, [{"role": "assistant", "content": "", "tool_calls": [as_text]}])


def test_tools_stand_behind_the_system_prompt(tokenizer: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert render(tokenizer, messages, tools=[TOOL]).startswith("<|im_start|>system\nBe brief.\n\n<tools>\n{")


def test_continuing_the_last_message(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"}]
    assert render(tokenizer, messages, continue_final_message=True).endswith("<|im_start|>assistant\n1, 2,")


def test_content_in_parts(tokenizer: Any) -> None:
    parts = [{"type": "text", "text": "He"}, {"type": "text", "text": "llo"}]
    assert render(tokenizer, [{"role": "user", "content": parts}]) == "<|im_start|>user\nHello<|im_end|>\n"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_training_text_is_what_the_template_renders(tokenizer: Any, kind: Any) -> None:
    rng = Random(5)
    for drawn in islice((conversation(rng, kind, turns) for turns in (1, 3)), 2):
        written = pieces(drawn.with_answer, drawn.tools)
        whole = render(tokenizer, drawn.with_answer, tools=drawn.tools or None)
        assert "".join(text for text, _ in written) == whole
        # Piece by piece the ids are those of the whole: training saw what serving sends.
        by_piece = [token for text, _ in written for token in tokenizer.encode(text)]
        assert by_piece == tokenizer.encode(whole)
