"""Grammars over one vocabulary, compiled by xgrammar: the part that may take for ever, and runs in the child."""

import json
import re
from collections.abc import Iterable

import xgrammar

from xylem.services.executor.structured_output.document import any_object, ebnf
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import Text, alt, rendered
from xylem.services.executor.structured_output.regexes import matched
from xylem.services.executor.structured_output.tags import with_grammars
from xylem.services.executor.structured_output.vocabulary import spellings
from xylem.shared.model_info.tokenizer_codec import TextCodec

CACHE_BYTES = 64 << 20


def token_table(codec: TextCodec, vocab_size: int, end_ids: Iterable[int]) -> xgrammar.TokenizerInfo:
    """The vocabulary as xgrammar needs it. vocab_size: of the model's logits; ids without a token are never allowed."""
    spelled = spellings(codec)[:vocab_size]
    return xgrammar.TokenizerInfo(
        spelled, xgrammar.VocabType.RAW, vocab_size=vocab_size, stop_token_ids=sorted(set(end_ids)) or None
    )


def compiler(table: xgrammar.TokenizerInfo) -> xgrammar.GrammarCompiler:
    """One thread: the cores belong to the model. The cache is for rules that many grammars share, such as strings."""
    return xgrammar.GrammarCompiler(table, max_threads=1, cache_enabled=True, cache_limit_bytes=CACHE_BYTES)


def compiled(with_: xgrammar.GrammarCompiler, kind: str, text: str) -> xgrammar.CompiledGrammar:
    """Raises GrammarFailed for a text that is no grammar of its kind."""
    try:
        match kind:
            case "json_schema":
                return with_.compile_grammar(ebnf(text))
            case "json_object":
                return with_.compile_grammar(any_object())
            case "regex":
                return with_.compile_grammar(f"root ::= {rendered(matched(text))}\n")
            case "ebnf":
                return with_.compile_grammar(text)
            case "choice":
                return with_.compile_grammar(_choice(text))
            case "structural_tag":
                return with_.compile_structural_tag(with_grammars(text))
            case _:
                raise GrammarFailed(f"there is no kind of grammar called {kind!r}")
    except (RuntimeError, ValueError, TypeError) as error:  # of xgrammar, which says more than it needs
        if "bad_alloc" in str(error):
            raise GrammarFailed(f"the {kind} needs too much memory") from None
        raise GrammarFailed(f"the {kind} can't be used: {_words(error)}") from None


def _words(error: Exception) -> str:
    """What xgrammar says, without the place in its own source."""
    return re.sub(r"^\[[^\]]*\] \S+: ", "", str(error).strip())[:500]


def _choice(text: str) -> str:
    try:
        choices = json.loads(text)
    except ValueError as error:
        raise GrammarFailed(f"the choice is no JSON: {error}") from None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise GrammarFailed("the choice must be a list of strings, with an entry")
    return f"root ::= {rendered(alt(Text(choice) for choice in choices))}\n"
