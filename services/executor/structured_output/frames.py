"""What parent and child say to each other: a length of 4 bytes, then a msgpack struct."""

import msgspec


class CompileRequest(msgspec.Struct, frozen=True):
    """Compile this."""

    kind: str
    text: str


class CompileReply(msgspec.Struct, frozen=True):
    """The compiled grammar, or the code of a failure and its words. The child's first one says that it is ready."""

    compiled: bytes = b""
    code: str = ""
    message: str = ""


def framed(message: CompileRequest | CompileReply) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body
