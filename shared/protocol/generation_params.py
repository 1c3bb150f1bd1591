"""Defines the parameters of a generation: a gateway makes them, and stages carry them unopened to their readers."""

import msgspec

from xylem.shared.protocol.bounds import Amount, Count, Factor, Int32, Int64, Penalty, Share


class SamplingParams(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Says how tokens are sampled. temperature 0 is greedy; top_k 0 means all of the vocabulary.

    The sample is a pure function of (seed, position): see reference/sampling.py. Penalties are those of the OpenAI
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
    """Says when a sequence ends. max_tokens counts all output tokens of the request, also those of earlier attempts.

    max_tokens -1 means the rest of the context; the tokenizer knows the prompt's length and replaces it.
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
    """Constrains the output. kind: json_schema, json_object, regex, ebnf, choice (JSON list) or structural_tag."""

    kind: str
    text: str = ""
    after_id: Int32 = -1  # it begins after this token (the end of thinking); -1: with the first one
    param: str = ""  # the field that it came from, for errors
    after: str = ""  # the text of that token: the tokenizer finds the ids
    opens: str = ""  # the token that begins thinking, when the model may or may not
    opens_id: Int32 = -1  # it may come first, whatever the grammar says; if it does not, the grammar begins there


class LogprobParams(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Asks for log probabilities: those of the model, before penalties and temperature."""

    num_top: Count = 0  # likeliest tokens at each position
    token_ids: bytes = b""  # column: these, too, at each position
    prompt_from: Int32 = -1  # of the prompt's tokens from this position on; -1: of the output only


class GenerationParams(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Holds all that a request says of its generation beside the prompt.

    Stages between its maker and its readers carry it as it is. Only the tokenizer replaces what it alone can know:
    `stop_conditions.max_tokens`, the token ids of the grammar, and `answer_prefix`. deadline_s: Unix time after which
    the answer is not wanted; 0 is never.
    """

    sampling: SamplingParams = SamplingParams()
    stop_conditions: StopConditions = StopConditions()
    grammar: Grammar | None = None
    logprobs: LogprobParams | None = None
    pooling: str = ""  # an embedding is wanted instead of tokens: "last" or "mean"
    cache_salt: str = ""  # prefixes are shared only within one salt
    priority: Int32 = 0  # lower goes first
    tenant: str = ""  # name of the API key that asks: executors are shared fairly among tenants
    deadline_s: Amount = 0.0
    resumable: bool = False  # detokenizers keep its text for a client that comes back through another gateway
    answer_prefix: str = ""  # the beginning of the answer that the prompt ends with: a marker, a message to continue
