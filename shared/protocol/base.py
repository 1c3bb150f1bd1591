"""Holds the base of all messages, the one encoder and the decoders of a process."""

from functools import cache
from typing import Any, TypeVar

import msgspec

M = TypeVar("M")


class Message(msgspec.Struct, array_like=True, frozen=True, tag=True, gc=False):
    """Base of the messages. Append fields with defaults; never reorder or remove one, or change a tag."""


_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """Returns the MessagePack bytes of `message`."""
    return _encoder.encode(message)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def decode(data: bytes, kind: type[M]) -> M:
    """Returns the message in `data`; `kind` is a Message class or a union of them.

    Raises msgspec.DecodeError (of which ValidationError is one) on anything else.
    """
    try:
        return _decoder(kind).decode(data)  # type: ignore[no-any-return, arg-type]
    except (UnicodeDecodeError, RecursionError) as error:
        # msgspec lets both through: text that is no UTF-8, and fields of a newer peer that are nested without end.
        raise msgspec.DecodeError(str(error)) from None
