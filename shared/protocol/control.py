"""Defines request-reply messages: control of one service, and tokenization without generation."""

from xylem.shared.protocol.base import Message


class Control(Message, frozen=True, tag="Control"):
    """Commands one service: ping, check, flush (schedulers), abort (gateways). `check` runs check_integrity()."""

    command: str
    arguments: bytes = b""  # JSON object


class ControlReply(Message, frozen=True, tag="ControlReply"):
    ok: bool
    detail: bytes = b"{}"  # JSON object


class Tokenize(Message, frozen=True, tag="Tokenize"):
    """Asks for the token ids of a text or of chat messages; nothing is generated."""

    prompt: str | None = None
    messages: bytes | None = None
    tools: bytes = b""
    template_arguments: bytes = b""
    add_special_tokens: bool = True


class TokenizeReply(Message, frozen=True, tag="TokenizeReply"):
    token_ids: bytes = b""
    code: str = ""  # an error of xylem.shared.runtime.errors, or empty
    message: str = ""
    param: str | None = None


class Detokenize(Message, frozen=True, tag="Detokenize"):
    token_ids: bytes


class Detokenized(Message, frozen=True, tag="Detokenized"):
    text: str = ""
    code: str = ""
    message: str = ""
    param: str | None = None
