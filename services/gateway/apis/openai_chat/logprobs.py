"""Log probabilities as chat completions show them."""

import msgspec

from xylem.services.gateway.generation.logprobs import LogprobToken


class TopLogprob(msgspec.Struct, frozen=True, gc=False):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True, gc=False):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True, gc=False):
    content: list[TokenLogprob]
    refusal: None = None


def logprobs_of(tokens: list[LogprobToken]) -> ChatLogprobs:
    """A token's text may be half a character; `bytes` are what it stands for."""
    return ChatLogprobs([_token(token) for token in tokens])


def _token(token: LogprobToken) -> TokenLogprob:
    top = [TopLogprob(text_of(other.text), other.logprob, list(other.text)) for other in token.top]
    return TokenLogprob(text_of(token.text), token.logprob or 0.0, list(token.text), top)


def text_of(token: bytes) -> str:
    """The text of a token; bytes that are no whole characters show as U+FFFD."""
    return token.decode(errors="replace")
