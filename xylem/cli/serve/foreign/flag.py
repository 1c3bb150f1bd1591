"""One flag of another system, and what `xylem serve` makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class System(StrEnum):
    """The systems whose flags are known."""

    SGLANG = "SGLang"
    VLLM = "vLLM"
    BOTH = "SGLang, vLLM"
    LLAMA_CPP = "llama.cpp"


class Kind(StrEnum):
    """What becomes of a flag."""

    MAPPED = "mapped"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ForeignFlag:
    """A flag under each of its names, without dashes.

    to: the flag of ours that takes its place, without dashes, if there is one.
    values: their values by ours; a value that is not in there is handed on as it is.
    template: what our flag is given, with the value in place of `{}`. Of a switch it is the value itself.
    harmless: values that ask for nothing, with which a refused flag is ignored.
    is_secret: the value is not shown.
    why: one sentence that the user reads when the flag is ignored or refused.
    """

    names: tuple[str, ...]
    system: System
    kind: Kind
    is_switch: bool = False
    is_secret: bool = False
    to: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    template: str = "{}"
    harmless: tuple[str, ...] = ()
    why: str = ""
