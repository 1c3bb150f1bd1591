"""The grammars of an executor: compiled once in one of a few child processes, then cached.

A child takes grammars apart and tries them, for that may take for ever, or all memory, or end the process; a thread can
be neither stopped nor limited. What it sends back is a grammar that is ready in milliseconds here: Lark, which compiles
so fast, or xgrammar's own JSON, which other threads need not wait for.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from xylem.services.executor.structured_output.compile_messages import CompilerStart
from xylem.services.executor.structured_output.compile_queue import CompileJob, CompileQueue, Key
from xylem.services.executor.structured_output.compiled_grammar import CompiledGrammar
from xylem.services.executor.structured_output.compiler import Vocabulary, read_grammar
from xylem.services.executor.structured_output.compiler_process import CompilerProcess, CompilerStalled
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.policy import GrammarPolicy
from xylem.services.executor.structured_output.token_merging import TokenMerging
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Grammar

Outcome = CompiledGrammar | GrammarFailed


class GrammarBackend:
    """Compiles grammars in the background. May be used from every thread.

    The vocabulary is read when it is made, a second for 150,000 tokens in which no other thread runs.
    """

    def __init__(
        self, model_path: Path, *, vocab_size: int, end_ids: Iterable[int], policy: GrammarPolicy | None = None
    ) -> None:
        """vocab_size: of the model's logits."""
        self._policy = policy or GrammarPolicy()
        self._lock = threading.Lock()  # of all below
        self._cache: OrderedDict[Key, Outcome] = OrderedDict()  # latest use last
        self._cached_bytes = 0
        self._waiting: dict[Key, list[tuple[Future[CompiledGrammar], str]]] = {}
        self._closed = False
        self._queue = CompileQueue()
        self._processes: list[CompilerProcess] = []
        self._unusable: GrammarFailed | None = None
        try:
            codec = TextCodec.load(model_path)
            spelled = bytes_of_tokens(codec)[:vocab_size]
        except ModelError as error:
            self._unusable = GrammarFailed(f"this model can't have grammars: {error}")
            spelled = []
        else:
            self._merging = TokenMerging(codec, spelled)
            start = CompilerStart(spelled, vocab_size, sorted(set(end_ids)), self._policy.memory_bytes)
            self._processes = [CompilerProcess(start) for _ in range(max(2, self._policy.num_processes))]
        self._vocabulary = Vocabulary(spelled, vocab_size, end_ids)
        self._threads = [
            threading.Thread(target=self._run, args=(process, number > 0), name=f"grammars-{number}", daemon=True)
            for number, process in enumerate(self._processes)
        ]
        for thread in self._threads:
            thread.start()

    def compile(self, grammar: Grammar, client: str = "") -> Future[CompiledGrammar]:
        """Begins to compile a grammar; done at once when it is cached. The future raises GrammarFailed.

        client: among whose grammars this one takes its turn.
        """
        key = (grammar.kind, grammar.text)
        future: Future[CompiledGrammar] = Future()
        with self._lock:
            kept = self._cache.get(key) or self._unusable
            if kept is not None:
                if key in self._cache:
                    self._cache.move_to_end(key)
            elif self._closed:
                kept = GrammarFailed("the executor is ending", code="unavailable")
            elif key in self._waiting:
                self._waiting[key].append((future, grammar.param))
            else:
                self._waiting[key] = [(future, grammar.param)]
                self._queue.put(CompileJob(key, client))
        if kept is not None:
            _resolve(future, kept, grammar.param)
        return future

    def close(self) -> None:
        """Ends the children. Grammars that are not compiled by now fail."""
        with self._lock:
            self._closed = True
        self._queue.close()
        for process in self._processes:
            process.stop()
        for thread in self._threads:
            thread.join()
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for futures in waiting.values():
            for future, param in futures:
                _resolve(future, GrammarFailed("the executor is ending", code="unavailable"), param)

    def _run(self, process: CompilerProcess, takes_slow: bool) -> None:
        while not self._closed:
            # After a kill the next grammar shall not wait for a start any longer than it must.
            with contextlib.suppress(GrammarFailed):  # whoever asks will have it tried again, and hear of it
                process.start()
            job = self._queue.take(slow=takes_slow)
            if job is None:
                break
            began_s = time.monotonic()
            outcome = self._outcome(process, job)
            if outcome is None:
                self._queue.put(replace(job, is_slow=True))
            self._queue.finish(job, time.monotonic() - began_s)
            if outcome is not None:
                self._tell(job.key, outcome)
        process.kill()

    def _outcome(self, process: CompilerProcess, job: CompileJob) -> Outcome | None:
        """Compiles; None when that takes longer than quick grammars may."""
        try:
            engine, compiled = process.compile(
                *job.key, self._policy.timeout_s if job.is_slow else min(self._policy.quick_s, self._policy.timeout_s)
            )
            return CompiledGrammar(read_grammar(self._vocabulary, engine, compiled), self._merging)
        except CompilerStalled:
            if not job.is_slow:
                return None
            return GrammarFailed(f"the {job.key[0]} takes too long to compile", code="unavailable")
        except GrammarFailed as failed:
            return failed
        except Exception as error:  # a thread that ended would leave every later request waiting
            return GrammarFailed(f"the grammar could not be compiled: {error}", code="unavailable")

    def _tell(self, key: Key, outcome: Outcome) -> None:
        with self._lock:
            self._cache_outcome(key, outcome)
            futures = self._waiting.pop(key, [])
        for future, param in futures:
            _resolve(future, outcome, param)

    def _cache_outcome(self, key: Key, outcome: Outcome) -> None:
        """Caches failures, too, but only what the compiler says of the grammar: it may be the machine that was slow."""
        if isinstance(outcome, GrammarFailed) and outcome.code != "invalid_request":
            return
        self._cache[key] = outcome
        self._cached_bytes += _size(key, outcome)
        while self._cached_bytes > self._policy.cache_bytes and self._cache:
            old, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= _size(old, dropped)


def _size(key: Key, outcome: Outcome) -> int:
    return 1000 + len(key[1]) * 4 + (outcome.num_bytes if isinstance(outcome, CompiledGrammar) else 0)


def _resolve(future: "Future[CompiledGrammar]", outcome: Outcome, param: str) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, CompiledGrammar):
        future.set_result(outcome)
    else:
        future.set_exception(GrammarFailed(str(outcome), param=param, code=outcome.code))
