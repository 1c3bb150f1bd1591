"""Lets a gateway ask another one about a response that it makes. Each question has one answer."""

from typing import Annotated

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Int64


class ResponseCall(Message, frozen=True, tag="ResponseCall"):
    """what: `show` and `cancel` it, which answer with its body; `remove` it; `read` its events after that number."""

    response_id: Annotated[str, msgspec.Meta(max_length=64)]
    what: str
    after: Int64 = -1


class ResponseReply(Message, frozen=True, tag="ResponseReply"):
    """known: it is made here. data: JSON, or events as they are sent to clients, the last of them with number `last`.

    No events: nothing has been told for a while.
    """

    known: bool = False
    data: bytes = b""
    last: Int64 = -1
    ended: bool = False  # no events will come after these
