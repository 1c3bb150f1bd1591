"""Text on its way to a gateway."""

from shared.messages.base import Message


class TextDeltas(Message, frozen=True):
    """New text of the requests of one gateway, from one detokenizer. Row i belongs to request_ids[i].

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
    finishes: bytes  # column of Finish; the row that is not NONE is the request's last
    num_prompt_tokens: bytes
    num_cached_tokens: bytes
