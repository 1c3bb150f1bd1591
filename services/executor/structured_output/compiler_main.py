"""A child process that compiles grammars one after another until its input ends.

A process of its own because a compile can't be interrupted, and one that takes for ever or all of the memory would take
the model with it. Its input ends when its parent dies, however that happens: so it never outlives it.
"""

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import BinaryIO, TypeVar

import msgspec

from xylem.services.executor.structured_output.compile_messages import (
    CompileReply,
    CompileRequest,
    CompilerStart,
    encode_frame,
)
from xylem.services.executor.structured_output.compiler import Vocabulary, compile_grammar
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.mask_timing import check_mask_time
from xylem.services.executor.structured_output.memory_limit import MemoryLimit

NICENESS = 10  # the cores belong to the model
STACK_BYTES = 4 << 20  # half of what the executor's threads have: what is nested too deeply ends here, and not there
Message = TypeVar("Message")


def main() -> None:
    # Nothing that a library prints may get among the frames.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.nice(NICENESS)
    start = _read(CompilerStart)
    if start is None:
        return
    limit = MemoryLimit(start.memory_bytes)

    @contextlib.contextmanager
    def loading() -> Iterator[None]:
        _send(output, CompileReply(loads=True))
        with limit.lifted():
            yield
        _send(output, CompileReply())

    vocabulary = Vocabulary(start.spelled, start.vocab_size, start.end_ids, loading)
    # Warm, so that the limit counts what every compile needs.
    check_mask_time(compile_grammar(vocabulary, "json_object", ""), "json_object")
    limit.begin()
    _send(output, CompileReply())
    while (request := _read(CompileRequest)) is not None:
        _send(output, _reply(vocabulary, request))


def _reply(vocabulary: Vocabulary, request: CompileRequest) -> CompileReply:
    try:
        grammar = compile_grammar(vocabulary, request.kind, request.text)
        check_mask_time(grammar, request.kind)
        return CompileReply(grammar.engine, grammar.serialized())
    except GrammarFailed as failed:
        return CompileReply(code=failed.code, message=str(failed))
    except MemoryError:
        return CompileReply(code="invalid_request", message=f"the {request.kind} needs too much memory")
    except Exception as error:  # a fault of ours, or of an engine: others still want this process
        traceback.print_exc()
        return CompileReply(code="internal_error", message=f"the {request.kind} could not be compiled: {error}")


def _read(kind: type[Message]) -> Message | None:
    """Reads one message; None at the end of the input."""
    size = sys.stdin.buffer.read(4)
    body = sys.stdin.buffer.read(int.from_bytes(size, "big"))
    return msgspec.msgpack.decode(body, type=kind) if body else None


def _send(output: BinaryIO, result: CompileReply) -> None:
    output.write(encode_frame(result))
    output.flush()


if __name__ == "__main__":
    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
