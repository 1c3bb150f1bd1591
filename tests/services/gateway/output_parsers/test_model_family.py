"""Which family a model is found to be."""

import pytest

from xylem.services.gateway.output_parsers import Family, choose
from xylem.services.gateway.output_parsers.thinking import ThinkingMarkers
from xylem.shared.model_info.model_card import DEMONSTRATION, locate

# The lines of chat templates that tell the families apart.
QWEN25 = (
    '<tools></tools> return <tool_call>\\n{{"name": <function-name>}}\\n</tool_call> {% if add_generation_prompt %}'
)
QWEN3 = QWEN25 + (
    "{%- set content = message.content.split('</think>')[-1] %}"
    "{{- '<|im_start|>assistant\\n' }}{% if enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
)
QWEN3_THINKING = QWEN25 + "{{- '<|im_start|>assistant\\n<think>\\n' }}"
CODER = "<tool_call>\\n<function=example>\\n<parameter=a>"
MISTRAL = "[AVAILABLE_TOOLS] [TOOL_CALLS] ["
GLM = "<tool_call>{{ name }}<arg_key>{{ k }}</arg_key><arg_value>{{ v }}</arg_value> <think></think>"
R1 = "<｜tool▁call▁begin｜>```json {% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"
KIMI = "<|tool_call_begin|>{{ id }}<|tool_call_argument_begin|>{} <|tool_call_end|> <think>{{ r }}</think>"

GEMMA4_THOUGHTS = ThinkingMarkers("<|channel>thought", "<channel|>", special=True)
COHERE_THOUGHTS = ThinkingMarkers("<|START_THINKING|>", "<|END_THINKING|>", special=True)


@pytest.mark.parametrize(
    ("template", "format_", "thinking"),
    [
        ("", "none", None),
        ("{{ messages }}", "none", None),
        (QWEN25, "hermes", None),
        (QWEN3, "hermes", ThinkingMarkers()),
        (QWEN3_THINKING, "hermes", ThinkingMarkers()),
        (CODER, "qwen3_coder", None),
        (MISTRAL, "mistral", None),
        (MISTRAL + "[ARGS]", "mistral_v11", None),
        (MISTRAL + "[THINK] [/THINK]", "mistral", ThinkingMarkers("[THINK]", "[/THINK]", special=True)),
        (GLM, "glm45", ThinkingMarkers()),
        (R1, "deepseek_v3", ThinkingMarkers()),
        ("<｜tool▁call▁begin｜><｜tool▁sep｜>", "deepseek_v31", None),
        (KIMI, "kimi_k2", ThinkingMarkers()),
        ("<|channel|>analysis<|message|> <think>", "gpt_oss", None),
        ("<|python_tag|>", "llama3_json", None),
        ("<|tool_call>call:{{ name }} <|channel>thought", "gemma4", GEMMA4_THOUGHTS),
        ("<|START_ACTION|> 'tool_name' <|START_THINKING|>", "cohere", COHERE_THOUGHTS),
        ("<｜DSML｜function_calls> </think>", "deepseek_v32", ThinkingMarkers()),
        ('<minimax:tool_call><invoke name="f"> <think>', "minimax_m2", ThinkingMarkers()),
        (
            "<tool_call>{function-name}<arg_key>{k}</arg_key><arg_value>{v}</arg_value> <think>",
            "glm47",
            ThinkingMarkers(),
        ),
        (CODER + "<think>", "qwen3_coder", ThinkingMarkers()),
        ("<|python_start|> <|python_tag|>", "pythonic", None),
    ],
)
def test_a_template_says_what_a_model_writes(template: str, format_: str, thinking: ThinkingMarkers | None) -> None:
    # The type is that of another family: what the model was taught counts for more.
    assert choose(template=template, model_type="llama") == Family(format_, thinking)


def test_the_demonstration_is_found_by_its_template() -> None:
    template = (locate(DEMONSTRATION) / "chat_template.jinja").read_text(encoding="utf-8")
    assert choose(template=template) == Family("hermes", None)


def test_without_a_template_the_type_says_it() -> None:
    assert choose(model_type="qwen3") == Family("hermes", ThinkingMarkers())
    assert choose(architecture="Qwen3MoeForCausalLM") == Family("hermes", ThinkingMarkers())
    assert choose(architecture="GptOssForCausalLM").format == "gpt_oss"
    assert choose(model_type="gpt2", architecture="GPT2LMHeadModel") == Family()


def test_names_overrule() -> None:
    assert choose(template=QWEN3, tool_call_parser="mistral") == Family("mistral", ThinkingMarkers())
    assert choose(template=QWEN3, reasoning_parser="none") == Family("hermes", None)
    assert choose(template=QWEN3, reasoning_parser="deepseek-r1") == Family("hermes", ThinkingMarkers(assumed=True))
    assert choose(tool_call_parser="qwen25", reasoning_parser="gpt-oss") == Family("gpt_oss", None)


@pytest.mark.parametrize("setting", ["tool_call_parser", "reasoning_parser"])
def test_a_name_that_is_not_known_is_an_error_that_lists_those_that_are(setting: str) -> None:
    with pytest.raises(ValueError, match=rf"{setting} 'gpt5' is not known; there are .*gpt_oss.*qwen3"):
        choose(**{setting: "gpt5"})


def test_special_tokens_stay_in_the_text_where_they_mean_something() -> None:
    assert choose(template=MISTRAL).needs_special
    assert choose(reasoning_parser="mistral").needs_special
    assert not choose(template=QWEN3).needs_special
