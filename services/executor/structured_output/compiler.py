"""Compiles grammars over one vocabulary with xgrammar: the part that may take for ever, and runs in the child."""

import json
import re
from collections.abc import Iterable

import xgrammar

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.json_grammar import any_object_ebnf, schema_to_ebnf
from xylem.services.executor.structured_output.nodes import Text, alt, to_ebnf
from xylem.services.executor.structured_output.regexes import fullmatch_node
from xylem.services.executor.structured_output.tags import replace_schemas
from xylem.services.executor.structured_output.vocabulary import bytes_of_tokens
from xylem.shared.model_info.tokenizer_codec import TextCodec

CACHE_BYTES = 64 << 20


def token_table(codec: TextCodec, vocab_size: int, end_ids: Iterable[int]) -> xgrammar.TokenizerInfo:
    """Returns the vocabulary for xgrammar. vocab_size: of the model's logits; ids without a token are never allowed."""
    spelled = bytes_of_tokens(codec)[:vocab_size]
    return xgrammar.TokenizerInfo(
        spelled, xgrammar.VocabType.RAW, vocab_size=vocab_size, stop_token_ids=sorted(set(end_ids)) or None
    )


def make_compiler(table: xgrammar.TokenizerInfo) -> xgrammar.GrammarCompiler:
    """Makes a compiler of one thread, for the cores belong to the model; its cache holds rules that grammars share."""
    return xgrammar.GrammarCompiler(table, max_threads=1, cache_enabled=True, cache_limit_bytes=CACHE_BYTES)


def compile_grammar(with_: xgrammar.GrammarCompiler, kind: str, text: str) -> xgrammar.CompiledGrammar:
    """Compiles a grammar. Raises GrammarFailed for a text that is no grammar of its kind."""
    try:
        match kind:
            case "json_schema":
                return with_.compile_grammar(schema_to_ebnf(text))
            case "json_object":
                return with_.compile_grammar(any_object_ebnf())
            case "regex":
                return with_.compile_grammar(f"root ::= {to_ebnf(fullmatch_node(text))}\n")
            case "ebnf":
                return with_.compile_grammar(text)
            case "choice":
                return with_.compile_grammar(_choice(text))
            case "structural_tag":
                return with_.compile_structural_tag(replace_schemas(text))
            case _:
                raise GrammarFailed(f"there is no kind of grammar called {kind!r}")
    except (RuntimeError, ValueError, TypeError) as error:  # of xgrammar, which says more than it needs
        if "bad_alloc" in str(error):
            raise GrammarFailed(f"the {kind} needs too much memory") from None
        raise GrammarFailed(f"the {kind} can't be used: {_words(error)}") from None


def _words(error: Exception) -> str:
    """Returns the message of xgrammar without the place in its source."""
    return re.sub(r"^\[[^\]]*\] \S+: ", "", str(error).strip())[:500]


def _choice(text: str) -> str:
    try:
        choices = json.loads(text)
    except ValueError as error:
        raise GrammarFailed(f"the choice is no JSON: {error}") from None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise GrammarFailed("the choice must be a list of strings, with an entry")
    return f"root ::= {to_ebnf(alt(Text(choice) for choice in choices))}\n"
