"""The readiness gate of sequences with a grammar: they wait until it is compiled."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from xylem.services.executor.step.logits_processor import LogitsProcessor
from xylem.services.executor.structured_output import CompiledGrammar
from xylem.shared.protocol import Admit, Grammar

Compile = Callable[[Grammar, str], "Future[CompiledGrammar]"]


class _HasLogitsProcessor(Protocol):
    @property
    def logits_processor(self) -> LogitsProcessor | None: ...


class GrammarGate:
    """Waits for a compiled grammar, and gives it to the logits processor of its sequence.

    A `Gate` (engine/gate.py), which this folder may not import: it stands below the engine.
    """

    allows_prefill = True  # the grammar only concerns output tokens

    def __init__(self, compiled: "Future[CompiledGrammar]", processor: LogitsProcessor) -> None:
        self._compiled = compiled
        self._processor = processor

    def is_done(self) -> bool:
        return self._compiled.done()

    def open_for(self, sequence: object) -> None:
        """Begins matching. Raises GrammarFailed."""
        self._processor.begin_matching(self._compiled.result())


def grammar_gates(compile_grammar: Compile) -> Callable[[Admit, _HasLogitsProcessor], GrammarGate | None]:
    """Returns a factory of gates. compile_grammar begins to compile a grammar of a tenant; its future may raise."""

    def make_gate(admit: Admit, sequence: _HasLogitsProcessor) -> GrammarGate | None:
        grammar = admit.start.params.grammar
        if grammar is None:
            return None
        assert sequence.logits_processor is not None
        return GrammarGate(compile_grammar(grammar, admit.start.params.tenant), sequence.logits_processor)

    return make_gate
