"""llama-cpp-python: llama.cpp's batches in process, and its server, which answers one request after another."""

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import KV_TOKENS, MAX_RUNNING, MODEL_NAME, About, Step, main

ABOUT = About(
    requirements=("llama-cpp-python[server]==0.3.36", "gguf==0.19.0"), variants=("bf16", "f16", "q8_0", "q4_0")
)
BATCH = 2048
THREADS = len(os.sched_getaffinity(0))


def prepare(model: Path, work: Path, variant: str) -> None:
    import llama_cpp

    from benchmarks.peers import gguf_file

    plain, target = file_of(work, "bf16"), file_of(work, variant)
    if not plain.exists():
        gguf_file.write(model, plain.with_suffix(".part"))
        plain.with_suffix(".part").rename(plain)
    if not target.exists():
        options = llama_cpp.llama_model_quantize_default_params()
        options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{variant.upper()}")
        options.nthread = THREADS
        made = str(target.with_suffix(".part"))
        if llama_cpp.llama_model_quantize(str(plain).encode(), made.encode(), ctypes.byref(options)) != 0:
            raise RuntimeError(f"llama.cpp did not quantize to {variant}")
        Path(made).rename(target)


def file_of(work: Path, variant: str) -> Path:
    return work / f"{variant}.gguf"


class LlamaCpp:
    def __init__(self, model: Path, work: Path, variant: str) -> None:
        import llama_cpp

        self._api: Any = llama_cpp
        llama_cpp.llama_backend_init()
        loading = llama_cpp.llama_model_default_params()
        loading.use_extra_bufts = False  # with them (AMX) q8_0 ends in a segmentation fault here
        self._model = llama_cpp.llama_model_load_from_file(str(file_of(work, variant)).encode(), loading)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = KV_TOKENS
        options.n_batch, options.n_ubatch = BATCH, 512
        options.n_seq_max = MAX_RUNNING
        options.n_threads = options.n_threads_batch = THREADS
        options.kv_unified = True
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self._vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(BATCH, 0, 1)

    def round(self, prompts: list[list[int]], num_output: int) -> Iterator[Step]:
        api = self._api
        api.llama_memory_clear(api.llama_get_memory(self._context), False)
        started_s = time.perf_counter()
        last: dict[int, int] = {}
        entries = [(seq, at, token) for seq, prompt in enumerate(prompts) for at, token in enumerate(prompt)]
        for begin in range(0, len(entries), BATCH):
            part = entries[begin : begin + BATCH]
            ends = [at == len(prompts[seq]) - 1 for seq, at, _ in part]
            drawn = self._decode(part, ends)
            last |= drawn
            yield time.perf_counter() - started_s, len(drawn)
        for step in range(1, num_output):
            last = self._decode(
                [(seq, len(prompts[seq]) + step - 1, token) for seq, token in last.items()], [True] * len(last)
            )
            yield time.perf_counter() - started_s, len(last)

    def _decode(self, part: list[tuple[int, int, int]], samples: list[bool]) -> dict[int, int]:
        """(sequence, position, token) each; the greedy next token of the sequences whose entry samples."""
        import numpy

        batch = self._batch
        batch.n_tokens = len(part)
        for i, ((seq, at, token), sample) in enumerate(zip(part, samples, strict=True)):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, at, 1, sample
            batch.seq_id[i][0] = seq
        if self._api.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        drawn = {}
        for i, (seq, _, _) in enumerate(part):
            if samples[i]:
                logits = self._api.llama_get_logits_ith(self._context, i)
                drawn[seq] = int(numpy.ctypeslib.as_array(logits, shape=(self._vocab_size,)).argmax())
        return drawn


def serve(model: Path, work: Path, variant: str, port: int) -> None:
    """cache: prompts' states are kept in memory, which is this server's prefix cache."""
    options = {
        "--model": str(file_of(work, variant)), "--model_alias": MODEL_NAME, "--host": "127.0.0.1", "--port": str(port),
        "--n_ctx": "4096", "--n_batch": str(BATCH), "--n_threads": str(THREADS), "--n_threads_batch": str(THREADS),
        "--interrupt_requests": "False", "--cache": "True", "--cache_size": str(1 << 30),
    }  # fmt: skip
    arguments = [word for option in options.items() for word in option]
    os.execv(sys.executable, [sys.executable, "-m", "llama_cpp.server", *arguments])


if __name__ == "__main__":
    main(prepare, LlamaCpp, serve)
