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


class Resume(Message, frozen=True):
    """A gateway asks a detokenizer to go on with a request of another one, from a character on."""

    request_id: str
    gateway: str
    num_chars: int


class Resumed(Message, frozen=True):
    """What the detokenizer has of it; what comes next goes to the new gateway. Only `found` counts when it is false."""

    found: bool = False
    attempt: int = 0
    scheduler: str = ""
    token_ids: bytes = b""  # column: all output tokens so far
    text: str = ""  # from the asked character on
    finish: int = 0  # of Finish
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    running: bool = False  # otherwise it has ended, or another attempt has to go on from here
