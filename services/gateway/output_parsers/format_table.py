"""The formats of calls, by name."""

from collections.abc import Callable
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.formats.cohere import ANSWER, COHERE
from xylem.services.gateway.output_parsers.formats.deepseek_v3 import DEEPSEEK_V3
from xylem.services.gateway.output_parsers.formats.deepseek_v31 import DEEPSEEK_V31
from xylem.services.gateway.output_parsers.formats.deepseek_v32 import DEEPSEEK_V32
from xylem.services.gateway.output_parsers.formats.gemma4 import GEMMA4
from xylem.services.gateway.output_parsers.formats.glm45 import GLM45
from xylem.services.gateway.output_parsers.formats.gpt_oss import CHANNEL, gpt_oss
from xylem.services.gateway.output_parsers.formats.hermes import HERMES
from xylem.services.gateway.output_parsers.formats.kimi_k2 import KIMI_K2
from xylem.services.gateway.output_parsers.formats.llama3_json import LLAMA3_JSON
from xylem.services.gateway.output_parsers.formats.minimax_m2 import MINIMAX_M2
from xylem.services.gateway.output_parsers.formats.mistral import MISTRAL
from xylem.services.gateway.output_parsers.formats.pythonic import PYTHONIC
from xylem.services.gateway.output_parsers.formats.qwen3_coder import QWEN3_CODER
from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer


@dataclass(frozen=True, slots=True)
class Format:
    """Says how models write calls. form: None where they don't, or where `steps` reads all of an answer.

    special: its markers are special tokens. ends: tokens that end a turn of these models. prefixes: markers that an
    answer may begin with, beside those of thoughts and calls. ignored: markers around an answer, never a part of it.
    """

    form: CallForm | None = None
    special: bool = False
    ends: tuple[str, ...] = ()
    steps: Callable[[ParserBuffer], Steps[None]] | None = None
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


_IM_END = ("<|im_end|>", "<|endoftext|>")
_DEEPSEEK = ("<｜end▁of▁sentence｜>",)
_GLM = ("<|user|>", "<|observation|>", "<|endoftext|>")
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
    "deepseek_v32": Format(DEEPSEEK_V32, special=True, ends=_DEEPSEEK),
    "glm45": Format(GLM45, special=True, ends=_GLM),
    # The same parser reads both, as with Mistral's.
    "glm47": Format(GLM45, special=True, ends=_GLM),
    "minimax_m2": Format(MINIMAX_M2, special=True, ends=("[e~[",)),
    "gemma4": Format(GEMMA4, special=True, ends=("<turn|>", "<|tool_response>")),
    "cohere": Format(COHERE, special=True, ends=("<|END_OF_TURN_TOKEN|>",), ignored=ANSWER),
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
    "qwen3_5": "qwen3_coder",
    "qwen35": "qwen3_coder",
    "deepseekv32": "deepseek_v32",
    "minimax-m2": "minimax_m2",
    "minimax": "minimax_m2",
    "gemma": "gemma4",
    "gemma_4": "gemma4",
    "command": "cohere",
    "cohere_command3": "cohere",
    "kimi": "kimi_k2",
    "gpt-oss": "gpt_oss",
    "openai": "gpt_oss",
}
