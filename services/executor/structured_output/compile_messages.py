"""Messages between the executor and its compiler processes: a length of 4 bytes, then a msgpack struct."""

import msgspec


class CompilerStart(msgspec.Struct, frozen=True):
    """Tells a fresh process its vocabulary. spelled: bytes by token id; memory_bytes: what a compile may need."""

    spelled: list[bytes]
    vocab_size: int
    end_ids: list[int]
    memory_bytes: int


class CompileRequest(msgspec.Struct, frozen=True):
    """Asks for one grammar to be compiled."""

    kind: str
    text: str


class CompileReply(msgspec.Struct, frozen=True):
    """The compiled grammar and its engine, or the code and message of a failure.

    A fresh process sends an empty one when it is ready. loads: it loads an engine first, and sends an empty one when
    the compile begins.
    """

    engine: str = ""
    compiled: bytes = b""
    code: str = ""
    message: str = ""
    loads: bool = False


def encode_frame(message: CompilerStart | CompileRequest | CompileReply) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body
