"""Messages between the executor and its compiler process: a length of 4 bytes, then a msgpack struct."""

import msgspec


class CompileRequest(msgspec.Struct, frozen=True):
    """Asks for one grammar to be compiled."""

    kind: str
    text: str


class CompileReply(msgspec.Struct, frozen=True):
    """The compiled grammar, or the code and message of a failure. The child's first reply says that it is ready."""

    compiled: bytes = b""
    code: str = ""
    message: str = ""


def encode_frame(message: CompileRequest | CompileReply) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body
