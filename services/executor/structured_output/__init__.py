"""Structured output: what a sequence's next token may be, so that its text keeps to a grammar.

Owns: the compiled grammars of this executor, and the child process that compiles them.
Comes in: grammars of requests, as JSON schemas, regular expressions, EBNF, choices or structural tags; token ids.
Goes out: for each sequence and step the row of a bitmask over the vocabulary; or why a grammar can't be had.
"""

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_backend import CompiledGrammar, GrammarBackend
from xylem.services.executor.structured_output.matcher import Matcher

__all__ = ["CompiledGrammar", "GrammarBackend", "GrammarFailed", "Matcher"]
