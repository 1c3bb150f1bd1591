"""`python -m xylem.services.executor.structured_output.child`: compiles one grammar after another until its input ends.

A process of its own because a compile can't be interrupted, and one that takes for ever or all of the memory would take
the model with it. Its input ends when its parent dies, however that happens: so it never outlives it.
"""

import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from xylem.services.executor.structured_output.compiler import compiled, compiler, token_table
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.frames import CompileReply, CompileRequest, framed
from xylem.services.executor.structured_output.trial import tried
from xylem.shared.model_info.tokenizer_codec import TextCodec


def main() -> None:
    model_path, vocab_size, end_ids, memory_bytes = sys.argv[1:]
    # Nothing that a library prints may get among the frames.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    table = token_table(TextCodec.load(Path(model_path)), int(vocab_size), msgspec.json.decode(end_ids, type=list[int]))
    make = compiler(table)
    tried(
        compiled(make, "json_object", ""), "json_object"
    )  # warm, so that the limit below counts what every compile needs
    _limit(int(memory_bytes))
    _say(output, CompileReply())
    while (size := sys.stdin.buffer.read(4)) and (body := sys.stdin.buffer.read(int.from_bytes(size, "big"))):
        order = msgspec.msgpack.decode(body, type=CompileRequest)
        try:
            grammar = compiled(make, order.kind, order.text)
            tried(grammar, order.kind)
            result = CompileReply(grammar.serialize_json().encode())
        except GrammarFailed as failed:
            result = CompileReply(code=failed.code, message=str(failed))
        except MemoryError:
            result = CompileReply(code="invalid_request", message=f"the {order.kind} needs too much memory")
        _say(output, result)


def _limit(memory_bytes: int) -> None:
    """Lets the address space grow by so much from here."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(output: BinaryIO, result: CompileReply) -> None:
    output.write(framed(result))
    output.flush()


if __name__ == "__main__":
    main()
