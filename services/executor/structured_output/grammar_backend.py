"""The grammars of an executor: compiled once in a child process, then cached.

The child sends a compiled grammar as xgrammar's own JSON. With a vocabulary of 150,000 that of any JSON object is 9 MB,
0.2 s to write and 0.08 s to read, once for each grammar; its compile alone costs 0.08 s. Reading it lets other threads
run: the longest that one had to wait was 3 ms. To compile in a thread of this process would save that much, but what
takes for ever is in the compile as well as in taking a schema apart, and a thread can be neither stopped nor limited.
"""

import contextlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import xgrammar

from xylem.services.executor.structured_output.compiler import token_table
from xylem.services.executor.structured_output.compiler_process import CompilerProcess
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.token_merging import TokenMerging
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Grammar

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CompiledGrammar:
    """A grammar over this vocabulary, shared by all sequences that have it."""

    grammar: xgrammar.CompiledGrammar
    num_bytes: int
    merging: TokenMerging | None = None


class GrammarBackend:
    """Compiles grammars one after another in the background. May be used from every thread.

    The vocabulary is read when it is made, half a second for 150,000 tokens in which no other thread runs.
    """

    def __init__(
        self,
        model_path: Path,
        *,
        vocab_size: int,
        end_ids: Iterable[int],
        timeout_s: float,
        memory_bytes: int,
        cache_bytes: int,
    ) -> None:
        """vocab_size: of the model's logits. memory_bytes: what a compile may need beyond a fresh child."""
        ends = sorted(set(end_ids))
        self._vocabulary: tuple[xgrammar.TokenizerInfo, TokenMerging] | GrammarFailed
        try:
            self._vocabulary = _vocabulary(model_path, vocab_size, ends)
        except ModelError as error:
            self._vocabulary = GrammarFailed(f"this model can't have grammars: {error}")
        self._worker = CompilerProcess(model_path, vocab_size, ends, timeout_s=timeout_s, memory_bytes=memory_bytes)
        self._max_cache_bytes = cache_bytes
        self._lock = threading.Lock()  # of all below
        self._cache: OrderedDict[Key, CompiledGrammar | GrammarFailed] = OrderedDict()  # latest use last
        self._cached_bytes = 0
        self._waiting: dict[Key, list[tuple[Future[CompiledGrammar], str]]] = {}
        self._closed = False
        self._requests: queue.SimpleQueue[Key | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="grammars", daemon=True)
        self._thread.start()

    def compile(self, grammar: Grammar) -> Future[CompiledGrammar]:
        """Begins to compile a grammar; done at once when it is cached. The future raises GrammarFailed."""
        key = (grammar.kind, grammar.text)
        future: Future[CompiledGrammar] = Future()
        with self._lock:
            kept = self._cache.get(key)
            if kept is not None:
                self._cache.move_to_end(key)
            elif self._closed:
                kept = GrammarFailed("the executor is ending", code="unavailable")
            elif key in self._waiting:
                self._waiting[key].append((future, grammar.param))
            else:
                self._waiting[key] = [(future, grammar.param)]
                self._requests.put(key)
        if kept is not None:
            _resolve(future, kept, grammar.param)
        return future

    def close(self) -> None:
        """Ends the child. Grammars that are not compiled by now fail."""
        with self._lock:
            self._closed = True
        self._requests.put(None)
        self._worker.stop()
        self._thread.join()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for futures in waiting.values():
            for future, param in futures:
                _resolve(future, GrammarFailed("the executor is ending", code="unavailable"), param)

    def _run(self) -> None:
        with contextlib.suppress(GrammarFailed):  # whoever asks will have it tried again, and hear of it
            if not isinstance(self._vocabulary, GrammarFailed):
                self._worker.start()
        while (key := self._requests.get()) is not None and not self._closed:
            outcome = self._outcome(key)
            with self._lock:
                self._cache_outcome(key, outcome)
                futures = self._waiting.pop(key, [])
            for future, param in futures:
                _resolve(future, outcome, param)
            if isinstance(outcome, GrammarFailed) and outcome is not self._vocabulary and not self._closed:
                # After a kill the next one shall not wait for a start any longer than it must.
                with contextlib.suppress(GrammarFailed):
                    self._worker.start()
        self._worker.kill()

    def _outcome(self, key: Key) -> CompiledGrammar | GrammarFailed:
        try:
            if isinstance(self._vocabulary, GrammarFailed):
                return self._vocabulary
            table, merging = self._vocabulary
            written = self._worker.compile(*key)
            grammar = xgrammar.CompiledGrammar.deserialize_json(written.decode(), table)
            return CompiledGrammar(grammar, grammar.memory_size_bytes, merging)
        except GrammarFailed as failed:
            return failed
        except Exception as error:  # a thread that ended would leave every later request waiting
            return GrammarFailed(f"the grammar could not be compiled: {error}", code="unavailable")

    def _cache_outcome(self, key: Key, outcome: CompiledGrammar | GrammarFailed) -> None:
        """Caches failures, too, unless the machine is to blame: a hostile grammar costs its time once."""
        if isinstance(outcome, GrammarFailed) and outcome.code != "invalid_request":
            return
        self._cache[key] = outcome
        self._cached_bytes += _size(key, outcome)
        while self._cached_bytes > self._max_cache_bytes and self._cache:
            old, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= _size(old, dropped)


def _vocabulary(model_path: Path, vocab_size: int, end_ids: list[int]) -> tuple[xgrammar.TokenizerInfo, TokenMerging]:
    codec = TextCodec.load(model_path)
    table = token_table(codec, vocab_size, end_ids)
    return table, TokenMerging(codec, table.decoded_vocab)


def _size(key: Key, outcome: CompiledGrammar | GrammarFailed) -> int:
    return 1000 + len(key[1]) * 4 + (outcome.num_bytes if isinstance(outcome, CompiledGrammar) else 0)


def _resolve(future: "Future[CompiledGrammar]", outcome: CompiledGrammar | GrammarFailed, param: str) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, CompiledGrammar):
        future.set_result(outcome)
    else:
        future.set_exception(GrammarFailed(str(outcome), param=param, code=outcome.code))
