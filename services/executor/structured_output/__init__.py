"""Structured output: what a sequence's next token may be, so that its text keeps to a grammar.

Owns: the compiled grammars of this executor, and the child processes that compile them.
Comes in: grammars of requests, as JSON schemas, regular expressions, Lark, EBNF, choices or structural tags; token ids.
Goes out: for each sequence and step the row of a bitmask over the vocabulary; or why a grammar can't be had.
"""

from xylem.services.executor.structured_output.compiled_grammar import CompiledGrammar
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_backend import GrammarBackend
from xylem.services.executor.structured_output.matcher import Matcher
from xylem.services.executor.structured_output.policy import GrammarPolicy

__all__ = ["CompiledGrammar", "GrammarBackend", "GrammarFailed", "GrammarPolicy", "Matcher"]
