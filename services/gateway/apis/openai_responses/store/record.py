"""A record is what is stored of a response: all it takes to make it again, token for token, and its end."""

from typing import Any

import msgspec

from xylem.services.gateway.apis.openai_responses.schema import Item, Response

# Of these any gateway can tell all events again, since the model ends in the same way each time.
REPEATABLE = ("completed", "incomplete")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One response of a tenant. It is written when the response is accepted, and once more when it has ended.

    tenant: the name of the key that made it, the only one to see it. generation: how often it had to be generated anew
    (stream_cursor.py).
    """

    id: str
    created_at: int
    owner: str  # the gateway that makes it, or has made it
    body: dict[str, Any]  # as the client sent it, without its input
    items: list[Item]  # what the model is given: earlier responses of the conversation, and the input
    # From here on what is known when it has been accepted.
    tenant: str = ""
    salt: str = ""
    seed: int | None = None
    generation: int = 0
    final: Response | None = None  # as it has ended
    num_events: int = 0  # of its stream, then

    @property
    def background(self) -> bool:
        return bool(self.body.get("background"))

    @property
    def tells_events(self) -> bool:
        """Whether its stream can be read, and not its end alone."""
        return self.background or bool(self.body.get("stream"))

    @property
    def repeatable(self) -> bool:
        """It has ended by itself."""
        return self.final is not None and self.final.status in REPEATABLE

    def ended(self, response: Response, num_events: int) -> "Record":
        """The same with what it has come to."""
        return msgspec.structs.replace(self, final=response, num_events=num_events)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """Raises msgspec.DecodeError for what no version of this wrote."""
    return _decoder.decode(data)
