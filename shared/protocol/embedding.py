"""A prompt as a vector, on its way from an executor to a gateway."""

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count


class Embedded(Message, frozen=True, tag="Embedded"):
    """The pooled hidden state of a prompt, of length 1 (Euclid)."""

    request_id: str
    attempt: Count
    vector: bytes  # column of float32
    num_prompt_tokens: Count
    num_cached_tokens: Count = 0
