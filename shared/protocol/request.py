"""A request on its way to a scheduler, and the answers that reach its gateway before the first token."""

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Amount, Count, Factor, Int32, Int64, Penalty, Share


class SamplingParams(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How the next token is drawn. temperature 0 is greedy; top_k 0 means all of the vocabulary.

    The draw is a pure function of (seed, position): see reference/sampling.py. Penalties are those of the OpenAI
    API (frequency, presence: of output tokens) and of Keskar et al. 2019 (repetition: of prompt and output tokens).
    """

    temperature: Amount = 1.0
    top_p: Share = 1.0
    top_k: Count = 0
    min_p: Share = 0.0
    seed: Int64 = 0
    repetition_penalty: Factor = 1.0
    frequency_penalty: Penalty = 0.0
    presence_penalty: Penalty = 0.0
    bias_ids: bytes = b""  # column of token ids
    bias_values: bytes = b""  # column of float32: what is added to the logit of each


class StopConditions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What ends a sequence. max_tokens counts all output tokens of the request, those of earlier attempts included.

    max_tokens -1 means the rest of the context; the tokenizer, who knows the prompt's length, replaces it.
    """

    max_tokens: Int32 = -1
    ignore_eos: bool = False
    stop: tuple[str, ...] = ()
    stop_token_ids: bytes = b""  # column
    min_tokens: Count = 0  # of all output tokens: before so many nothing stops the sequence
    stop_regex: tuple[str, ...] = ()
    keep_stop: bool = False  # the stop string stays in the text
    keep_special: bool = False  # special tokens have text


class Grammar(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the output must be. kind: json_schema, json_object, regex, ebnf, choice (JSON list) or structural_tag."""

    kind: str
    text: str = ""
    after_id: Int32 = -1  # it begins after this token (the end of thinking); -1: with the first one
    param: str = ""  # the field that it came from, for errors
    after: str = ""  # the text of that token: the tokenizer finds the ids
    opens: str = ""  # the token that begins thinking, when the model may or may not
    opens_id: Int32 = -1  # it may come first, whatever the grammar says; if it does not, the grammar begins there


class LogprobParams(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Which log probabilities are wanted besides the tokens: those of the model, before penalties and temperature."""

    num_top: Count = 0  # likeliest tokens at each position
    token_ids: bytes = b""  # column: these, too, at each position
    prompt_from: Int32 = -1  # of the prompt's tokens from this position on; -1: of the output only


class Generate(Message, frozen=True, tag="Generate"):
    """One sequence that a client wants. Exactly one of prompt, messages and token_ids is set."""

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
    sampling: SamplingParams = SamplingParams()
    limits: StopConditions = StopConditions()
    salt: str = ""  # prefixes are shared only within one salt
    priority: Int32 = 0  # lower goes first
    deadline_s: Amount = 0.0  # Unix time after which nobody waits for the answer; 0 is never
    trace: str = ""  # W3C traceparent of the sender's span, or empty
    tenant: str = ""  # whose request it is: a name of the gateway's keys, among whom executors are shared fairly
    resumable: bool = False  # detokenizers keep its text for a client that comes back through another gateway
    grammar: Grammar | None = None
    scoring: LogprobParams | None = None
    pooling: str = ""  # an embedding is wanted instead of tokens: "last" or "mean"
    add_special_tokens: bool = True  # to the text of a prompt, as its tokenizer does


class Tokenized(Message, frozen=True, tag="Tokenized"):
    """A request with its token ids, checked against the context length."""

    request_id: str
    attempt: Count
    gateway: str
    detokenizer: str
    prompt_ids: bytes  # column
    output_ids: bytes = b""  # column
    sampling: SamplingParams = SamplingParams()
    limits: StopConditions = StopConditions()
    salt: str = ""
    priority: Int32 = 0
    deadline_s: Amount = 0.0
    trace: str = ""
    tenant: str = ""
    resumable: bool = False
    grammar: Grammar | None = None
    scoring: LogprobParams | None = None
    pooling: str = ""


class Ack(Message, frozen=True, tag="Ack"):
    """The next stage has the request. Sent as the reply to a hand-over."""


class Accepted(Message, frozen=True, tag="Accepted"):
    """A scheduler has queued the request."""

    request_id: str
    attempt: Count
    scheduler: str
    num_prompt_tokens: Count


class Refused(Message, frozen=True, tag="Refused"):
    """The request ends here without a token. `code` names a class of xylem.shared.runtime.errors."""

    request_id: str
    attempt: Count
    code: str
    message: str
    param: str | None = None
    retry_after_s: Amount = 0.0


class Abort(Message, frozen=True, tag="Abort"):
    """Nobody wants the rest of this request. From a gateway (client gone) or a detokenizer (stop string found)."""

    request_id: str
    attempt: Count
    reason: str = "client"
