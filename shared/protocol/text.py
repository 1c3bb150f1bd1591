"""Carries text to gateways."""

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count
from xylem.shared.protocol.steps import FinishReason, Logprobs


class TokenLogprobs(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Holds tokens with their log probabilities and their bytes. Lists run as in `scores`."""

    scores: Logprobs
    token_ids: bytes  # column
    tokens: tuple[bytes, ...]  # the bytes of each, which need not be whole characters
    ends: bytes  # column: characters of the request's text up to the end of each, what is held back or cut included
    top_tokens: tuple[bytes, ...] = ()
    asked_tokens: tuple[bytes, ...] = ()  # of LogprobParams.token_ids, once
    start: Count = 0  # characters before the first


class TextDeltas(Message, frozen=True, tag="TextDeltas"):
    """Carries new text from one detokenizer to one gateway. Row i belongs to request_ids[i].

    `texts[i]` is what became certain; text held back for a possible stop string or half a character comes with a later
    row of the request. Token ids are all that arrived, so that the gateway can resubmit from them.
    """

    detokenizer: str
    request_ids: tuple[str, ...]
    attempts: bytes
    offsets: bytes
    counts: bytes
    token_ids: bytes
    texts: tuple[str, ...]
    finishes: bytes  # column of FinishReason; the row that is not NONE is the request's last
    num_prompt_tokens: bytes
    num_cached_tokens: bytes
    scored: tuple[tuple[Count, TokenLogprobs], ...] = ()  # (row, all its tokens)
    prompt_scored: tuple[tuple[Count, TokenLogprobs], ...] = ()  # (row, the prompt), with a request's first row
    matched: tuple[tuple[Count, str], ...] = ()  # (row, the stop string that ended it)
    parts: tuple[tuple[Count, bytes], ...] = ()  # (row, column: characters that came with each of its tokens)
    prefixes: tuple[tuple[Count, str], ...] = ()  # (row, answer_prefix), with a request's first row


class Resume(Message, frozen=True, tag="Resume"):
    """Asks a detokenizer to send a request of another gateway to this one, from character num_chars on."""

    request_id: str
    gateway: str
    num_chars: Count


class Resumed(Message, frozen=True, tag="Resumed"):
    """Answers Resume; what comes next goes to the asking gateway. Only `found` counts when it is false."""

    found: bool = False
    attempt: Count = 0
    scheduler: str = ""
    token_ids: bytes = b""  # column: all output tokens so far
    text: str = ""  # from the asked character on
    finish: FinishReason = FinishReason.NONE
    num_prompt_tokens: Count = 0
    num_cached_tokens: Count = 0
    running: bool = False  # otherwise it has ended, or another attempt has to go on from here
    parts: bytes = b""  # column: characters that came with each token, when all of the text was asked for
    answer_prefix: str = ""
