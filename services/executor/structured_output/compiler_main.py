"""The child process that compiles grammars one after another until its input ends.

A process of its own because a compile can't be interrupted, and one that takes for ever or all of the memory would take
the model with it. Its input ends when its parent dies, however that happens: so it never outlives it.
"""

import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from xylem.services.executor.structured_output.compile_messages import CompileReply, CompileRequest, encode_frame
from xylem.services.executor.structured_output.compiler import compile_grammar, make_compiler, token_table
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.mask_timing import check_mask_time
from xylem.shared.model_info.tokenizer_codec import TextCodec


def main() -> None:
    model_path, vocab_size, end_ids, memory_bytes = sys.argv[1:]
    # Nothing that a library prints may get among the frames.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    table = token_table(TextCodec.load(Path(model_path)), int(vocab_size), msgspec.json.decode(end_ids, type=list[int]))
    compiler = make_compiler(table)
    check_mask_time(
        compile_grammar(compiler, "json_object", ""), "json_object"
    )  # warm, so that the limit below counts what every compile needs
    _limit(int(memory_bytes))
    _send(output, CompileReply())
    while (size := sys.stdin.buffer.read(4)) and (body := sys.stdin.buffer.read(int.from_bytes(size, "big"))):
        request = msgspec.msgpack.decode(body, type=CompileRequest)
        try:
            grammar = compile_grammar(compiler, request.kind, request.text)
            check_mask_time(grammar, request.kind)
            result = CompileReply(grammar.serialize_json().encode())
        except GrammarFailed as failed:
            result = CompileReply(code=failed.code, message=str(failed))
        except MemoryError:
            result = CompileReply(code="invalid_request", message=f"the {request.kind} needs too much memory")
        _send(output, result)


def _limit(memory_bytes: int) -> None:
    """Limits the growth of the address space from here on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(output: BinaryIO, result: CompileReply) -> None:
    output.write(encode_frame(result))
    output.flush()


if __name__ == "__main__":
    main()
