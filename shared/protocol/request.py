"""Carries a request to its scheduler, and the answers that reach its gateway before the first token."""

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Amount, Count
from xylem.shared.protocol.generation_params import GenerationParams


class Generate(Message, frozen=True, tag="Generate"):
    """Asks for one sequence. Exactly one of prompt, messages and token_ids is set."""

    request_id: str  # one per choice: n=2 makes two requests
    attempt: Count
    gateway: str
    detokenizer: str
    prompt: str | None = None
    messages: bytes | None = None  # JSON list of chat messages, as the client sent them
    token_ids: bytes | None = None  # column
    tools: bytes = b""  # JSON list, or empty
    template_arguments: bytes = b""  # JSON object for the chat template, or empty
    output_ids: bytes = b""  # column: tokens the gateway already has from earlier attempts
    params: GenerationParams = GenerationParams()
    trace: str = ""  # W3C traceparent of the sender's span, or empty
    add_special_tokens: bool = True  # to the text of a prompt, as its tokenizer does
    answer_markers: tuple[str, ...] = ()  # what an answer may begin with; with any, `answer_prefix` is wanted
    suspected: bool = False  # executors have died while they worked at it


class Tokenized(Message, frozen=True, tag="Tokenized"):
    """Carries a request with its token ids, checked against the context length."""

    request_id: str
    attempt: Count
    gateway: str
    detokenizer: str
    prompt_ids: bytes  # column
    output_ids: bytes = b""  # column
    params: GenerationParams = GenerationParams()
    trace: str = ""
    suspected: bool = False  # see Generate


class Ack(Message, frozen=True, tag="Ack"):
    """Replies to a hand-over: the next stage has the request."""


class Accepted(Message, frozen=True, tag="Accepted"):
    """Says that a scheduler has queued the request."""

    request_id: str
    attempt: Count
    scheduler: str
    num_prompt_tokens: Count


class Refused(Message, frozen=True, tag="Refused"):
    """Says that the request ends without a token. `code` names a class of xylem.shared.runtime.errors."""

    request_id: str
    attempt: Count
    code: str
    message: str
    param: str | None = None
    retry_after_s: Amount = 0.0


class Abort(Message, frozen=True, tag="Abort"):
    """Cancels the rest of a request. From a gateway (client gone) or a detokenizer (stop string found)."""

    request_id: str
    attempt: Count
    reason: str = "client"
