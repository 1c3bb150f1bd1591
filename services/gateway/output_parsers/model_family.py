"""Which family a model belongs to: how it marks its thoughts and its calls of tools."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.format_table import ALIASES, FORMATS
from xylem.services.gateway.output_parsers.thinking import ThinkingMarkers

THINKS: dict[str, ThinkingMarkers | None] = {
    "none": None,
    # It was taught to think first, and its template may or may not write the opening marker into the prompt.
    "deepseek_r1": ThinkingMarkers(assumed=True),
    "qwen3": ThinkingMarkers(),
    "qwen3_thinking": ThinkingMarkers(assumed=True),
    "glm45": ThinkingMarkers(),
    "kimi_k2": ThinkingMarkers(),
    "kimi": ThinkingMarkers("◁think▷", "◁/think▷"),
    "mistral": ThinkingMarkers("[THINK]", "[/THINK]", special=True),
    "gemma4": ThinkingMarkers("<|channel>thought", "<channel|>", special=True),
    "cohere": ThinkingMarkers("<|START_THINKING|>", "<|END_THINKING|>", special=True),
    # Its thoughts are a channel, which its format reads.
    "gpt_oss": None,
}

THINKS_ALIASES = {
    "": "none",
    "deepseek-r1": "deepseek_r1",
    "deepseek_v3": "qwen3",
    "deepseek-v3": "qwen3",
    "qwen3-thinking": "qwen3_thinking",
    "glm": "glm45",
    "glm47": "glm45",
    "deepseek_v32": "qwen3",
    "deepseek-v32": "qwen3",
    "minimax": "qwen3",
    "minimax_m2": "qwen3",
    "qwen3_5": "qwen3",
    "gemma": "gemma4",
    "gpt-oss": "gpt_oss",
    "openai_gptoss": "gpt_oss",
}


@dataclass(frozen=True, slots=True)
class Family:
    """Says how a model marks its thoughts and its calls.

    format: a name of FORMATS. thinks: None where it does not, or where its format reads its thoughts.
    """

    format: str = "none"
    thinking_markers: ThinkingMarkers | None = None

    @property
    def needs_special(self) -> bool:
        """Its markers are special tokens: the detokenizer must leave these in the text."""
        return FORMATS[self.format].special or (self.thinking_markers is not None and self.thinking_markers.special)

    @property
    def ends(self) -> tuple[str, ...]:
        """Tokens that end a turn, which are taken off the end of the text where they are left in."""
        return FORMATS[self.format].ends

    @property
    def answer_markers(self) -> tuple[str, ...]:
        """Markers that the prompt may have written already: they say how an answer begins."""
        format_ = FORMATS[self.format]
        of_thoughts = self.thinking_markers.pair if self.thinking_markers else ()
        return (*of_thoughts, *format_.prefixes, *(format_.form.markers if format_.form else ()))


# What a chat template says when it writes calls, the most telling first: all of the words of a row are in it.
_TEMPLATE_FORMATS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("<|channel|>", "<|message|>"), "gpt_oss"),
    (("<|tool_call>", "call:"), "gemma4"),
    (("<|START_ACTION|>", "tool_name"), "cohere"),
    (("｜DSML｜",), "deepseek_v32"),
    (("<minimax:tool_call>", "<invoke name="), "minimax_m2"),
    (("<|tool_call_begin|>", "<|tool_call_argument_begin|>"), "kimi_k2"),
    (("<｜tool▁call▁begin｜>", "```json"), "deepseek_v3"),
    (("<｜tool▁call▁begin｜>",), "deepseek_v31"),
    (("[TOOL_CALLS]", "[ARGS]"), "mistral_v11"),
    (("[TOOL_CALLS]",), "mistral"),
    (("{function-name}<arg_key>", "<arg_value>"), "glm47"),
    (("<arg_key>", "<arg_value>"), "glm45"),
    (("<tool_call>", "<function="), "qwen3_coder"),
    (("<tool_call>",), "hermes"),
    (("<|python_start|>",), "pythonic"),
    (("[func_name1(params_name1=",), "pythonic"),
    (("<|python_tag|>",), "llama3_json"),
    (('"parameters": dictionary of argument name',), "llama3_json"),
)

_TEMPLATE_THINKS: tuple[tuple[str, str], ...] = (
    ("◁think▷", "kimi"),
    ("[THINK]", "mistral"),
    ("<|channel>thought", "gemma4"),
    ("<|START_THINKING|>", "cohere"),
)

# Where a template says nothing of tools or thoughts, or there is none: what models of a type are known to write.
_MODEL_TYPES: Mapping[str, tuple[str, str]] = {
    "gpt_oss": ("gpt_oss", "none"),
    "deepseek_v3": ("deepseek_v3", "none"),
    "kimi_k2": ("kimi_k2", "kimi_k2"),
    "kimi_vl": ("none", "kimi"),
    "glm4_moe": ("glm45", "glm45"),
    "qwen2": ("hermes", "none"),
    "qwen2_moe": ("hermes", "none"),
    "qwen3": ("hermes", "qwen3"),
    "qwen3_moe": ("hermes", "qwen3"),
    "qwen3_next": ("hermes", "none"),
    "qwen3_5": ("qwen3_coder", "qwen3"),
    "qwen3_5_moe": ("qwen3_coder", "qwen3"),
    "deepseek_v32": ("deepseek_v32", "qwen3"),
    "minimax_m2": ("minimax_m2", "qwen3"),
    "gemma4": ("gemma4", "gemma4"),
    "gemma4_text": ("gemma4", "gemma4"),
    "cohere2": ("cohere", "cohere"),
    "mistral": ("mistral", "none"),
    "mistral3": ("mistral", "none"),
    "mixtral": ("mistral", "none"),
    "llama4": ("pythonic", "none"),
    "llama4_text": ("pythonic", "none"),
}


def choose(
    *,
    template: str = "",
    model_type: str = "",
    architecture: str = "",
    tool_call_parser: str = "",
    reasoning_parser: str = "",
) -> Family:
    """The family of a model.

    template: the text of its chat template, which is what the model was taught; empty if there is none. model_type and
    architecture: from its config.json. The two parsers: names that overrule what was found, "none" among them. Raises
    ValueError for a name that is not known, with those that are.
    """
    known = _known(model_type, architecture)
    format_ = _named("tool_call_parser", tool_call_parser, FORMATS, ALIASES) or _format_of(template) or known[0]
    thinks_name = _named("reasoning_parser", reasoning_parser, THINKS, THINKS_ALIASES)
    if thinks_name:
        thinking_markers = THINKS[thinks_name]
    elif format_ == "gpt_oss":
        thinking_markers = None
    else:
        thinking_markers = _thinks_of(template) if template else THINKS[known[1]]
    # The thoughts of gpt-oss come in channels that only its own format can read.
    if thinks_name == "gpt_oss":
        format_ = "gpt_oss"
    return Family(format_, thinking_markers)


def _known(model_type: str, architecture: str) -> tuple[str, str]:
    if model_type in _MODEL_TYPES:
        return _MODEL_TYPES[model_type]
    bare = re.sub(r"for(causallm|conditionalgeneration)$", "", architecture.lower())
    return next((row for name, row in _MODEL_TYPES.items() if name.replace("_", "") == bare), ("none", "none"))


def _named(setting: str, name: str, table: Mapping[str, object], aliases: Mapping[str, str]) -> str:
    if not name:
        return ""
    found = aliases.get(name, name)
    if found not in table:
        names = ", ".join(sorted({*table, *aliases} - {""}))
        raise ValueError(f"{setting} {name!r} is not known; there are {names}")
    return found


def _format_of(template: str) -> str:
    # A template may only mention a marker to take it out of old messages, but then it mentions no calls either.
    return next((name for words, name in _TEMPLATE_FORMATS if all(word in template for word in words)), "")


def _thinks_of(template: str) -> ThinkingMarkers | None:
    for marker, name in _TEMPLATE_THINKS:
        if marker in template:
            return THINKS[name]
    # Whether the thoughts have begun where an answer begins is read from the end of each prompt.
    return THINKS["qwen3"] if "</think>" in template or "<think>" in template else None
