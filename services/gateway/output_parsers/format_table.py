"""The formats of calls, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.calls import plain
from xylem.services.gateway.output_parsers.formats.deepseek_v3 import deepseek_v3
from xylem.services.gateway.output_parsers.formats.deepseek_v31 import deepseek_v31
from xylem.services.gateway.output_parsers.formats.glm45 import glm45
from xylem.services.gateway.output_parsers.formats.gpt_oss import gpt_oss
from xylem.services.gateway.output_parsers.formats.hermes import hermes
from xylem.services.gateway.output_parsers.formats.kimi_k2 import kimi_k2
from xylem.services.gateway.output_parsers.formats.llama3_json import llama3_json
from xylem.services.gateway.output_parsers.formats.mistral import mistral
from xylem.services.gateway.output_parsers.formats.pythonic import pythonic
from xylem.services.gateway.output_parsers.formats.qwen3_coder import qwen3_coder
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer


@dataclass(frozen=True, slots=True)
class Format:
    """steps: what reads it. special: its markers are special tokens. ends: tokens that end a turn of these models."""

    steps: Callable[[ParserBuffer], Steps[None]]
    special: bool = False
    ends: tuple[str, ...] = ()


_IM_END = ("<|im_end|>", "<|endoftext|>")
_DEEPSEEK = ("<｜end▁of▁sentence｜>",)
_LLAMA = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|eot|>", "<|eom|>")

FORMATS = {
    "none": Format(plain),
    "hermes": Format(hermes, ends=_IM_END),
    "qwen3_coder": Format(qwen3_coder, ends=_IM_END),
    "llama3_json": Format(llama3_json, special=True, ends=_LLAMA),
    "pythonic": Format(pythonic, special=True, ends=_LLAMA),
    "mistral": Format(mistral, special=True, ends=("</s>",)),
    # The same parser reads both; what is forced is the one or the other.
    "mistral_v11": Format(mistral, special=True, ends=("</s>",)),
    "deepseek_v3": Format(deepseek_v3, special=True, ends=_DEEPSEEK),
    "deepseek_v31": Format(deepseek_v31, special=True, ends=_DEEPSEEK),
    "glm45": Format(glm45, special=True, ends=("<|user|>", "<|observation|>", "<|endoftext|>")),
    "kimi_k2": Format(kimi_k2, special=True, ends=("<|im_end|>", "[EOS]")),
    # Its own end tokens are markers of its messages.
    "gpt_oss": Format(gpt_oss, special=True),
}

# What other servers call them.
ALIASES = {
    "": "none",
    "qwen": "hermes",
    "qwen25": "hermes",
    "qwen3": "hermes",
    "demonstration": "hermes",
    "qwen3_xml": "qwen3_coder",
    "llama3": "llama3_json",
    "llama4_json": "llama3_json",
    "llama4_pythonic": "pythonic",
    "deepseekv3": "deepseek_v3",
    "deepseekv31": "deepseek_v31",
    "glm": "glm45",
    "glm47": "glm45",
    "kimi": "kimi_k2",
    "gpt-oss": "gpt_oss",
    "openai": "gpt_oss",
}
