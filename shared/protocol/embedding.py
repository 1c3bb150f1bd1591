"""Carries the vector of a prompt from an executor to a gateway."""

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count


class Embedded(Message, frozen=True, tag="Embedded"):
    """Gives the pooled hidden state of a prompt, normalised to a Euclidean length of 1."""

    request_id: str
    attempt: Count
    vector: bytes  # column of float32
    num_prompt_tokens: Count
    num_cached_tokens: Count = 0
