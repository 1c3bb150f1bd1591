"""The formats of calls, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.formats.deepseek_v3 import DEEPSEEK_V3
from xylem.services.gateway.output_parsers.formats.deepseek_v31 import DEEPSEEK_V31
from xylem.services.gateway.output_parsers.formats.glm45 import GLM45
from xylem.services.gateway.output_parsers.formats.gpt_oss import CHANNEL, gpt_oss
from xylem.services.gateway.output_parsers.formats.hermes import HERMES
from xylem.services.gateway.output_parsers.formats.kimi_k2 import KIMI_K2
from xylem.services.gateway.output_parsers.formats.llama3_json import LLAMA3_JSON
from xylem.services.gateway.output_parsers.formats.mistral import MISTRAL
from xylem.services.gateway.output_parsers.formats.pythonic import PYTHONIC
from xylem.services.gateway.output_parsers.formats.qwen3_coder import QWEN3_CODER
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer


@dataclass(frozen=True, slots=True)
class Format:
    """Says how models write calls. form: None where they don't, or where `steps` reads all of an answer.

    special: its markers are special tokens. ends: tokens that end a turn of these models. prefixes: markers that an
    answer may begin with, beside those of thoughts and calls.
    """

    form: CallForm | None = None
    special: bool = False
    ends: tuple[str, ...] = ()
    steps: Callable[[ParserBuffer], Steps[None]] | None = None
    prefixes: tuple[str, ...] = ()


_IM_END = ("<|im_end|>", "<|endoftext|>")
_DEEPSEEK = ("<｜end▁of▁sentence｜>",)
_LLAMA = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|eot|>", "<|eom|>")

FORMATS = {
    "none": Format(),
    "hermes": Format(HERMES, ends=_IM_END),
    "qwen3_coder": Format(QWEN3_CODER, ends=_IM_END),
    "llama3_json": Format(LLAMA3_JSON, special=True, ends=_LLAMA),
    "pythonic": Format(PYTHONIC, special=True, ends=_LLAMA),
    "mistral": Format(MISTRAL, special=True, ends=("</s>",)),
    # The same parser reads both; what is forced is the one or the other.
    "mistral_v11": Format(MISTRAL, special=True, ends=("</s>",)),
    "deepseek_v3": Format(DEEPSEEK_V3, special=True, ends=_DEEPSEEK),
    "deepseek_v31": Format(DEEPSEEK_V31, special=True, ends=_DEEPSEEK),
    "glm45": Format(GLM45, special=True, ends=("<|user|>", "<|observation|>", "<|endoftext|>")),
    "kimi_k2": Format(KIMI_K2, special=True, ends=("<|im_end|>", "[EOS]")),
    # Its own end tokens are markers of its messages.
    "gpt_oss": Format(special=True, steps=gpt_oss, prefixes=(CHANNEL,)),
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
