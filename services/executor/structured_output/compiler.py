"""Compiles grammars over one vocabulary: the part that may take long, and runs in a child."""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

from xylem.services.executor.structured_output.ebnf_engine import EbnfGrammar, EbnfVocabulary, Loading
from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_state import Automaton
from xylem.services.executor.structured_output.json_grammar import json_rules, read_schema
from xylem.services.executor.structured_output.lark_engine import LarkGrammar, LarkVocabulary
from xylem.services.executor.structured_output.lark_text import to_lark
from xylem.services.executor.structured_output.nodes import Node, Rules, Text, alt, lexeme
from xylem.services.executor.structured_output.regexes import fullmatch_node
from xylem.services.executor.structured_output.tags import read_tag, tag_rules

LARK = re.compile(r"^\s*%llguidance\b|^\s*start(\[[^\]]*\])?\s*:(?!:)", re.MULTILINE)


class Vocabulary:
    """The tokens for both engines, each made when it is first needed. spelled: bytes by token id."""

    def __init__(
        self, spelled: Sequence[bytes], vocab_size: int, end_ids: Iterable[int], loading: Loading = nullcontext
    ) -> None:
        self.lark = LarkVocabulary(spelled, vocab_size)
        self.ebnf = EbnfVocabulary(spelled, vocab_size, end_ids, loading)


def compile_grammar(vocabulary: Vocabulary, kind: str, text: str) -> Automaton:
    """Compiles a grammar. Raises GrammarFailed for a text that is no grammar of its kind, or matches nothing."""
    rules = Rules()
    root: Node | None = None
    match kind:
        case "json_schema":
            root = json_rules(rules, read_schema(text))
        case "json_object":
            root = json_rules(rules, {"type": "object"})
        case "regex":
            root = lexeme(fullmatch_node(text))
        case "choice":
            root = lexeme(_choice(text))
        case "structural_tag":
            tag = read_tag(text)
            root = tag_rules(rules, tag)
            text = json.dumps(tag)
        case "ebnf":
            pass
        case _:
            raise GrammarFailed(f"there is no kind of grammar called {kind!r}")
    try:
        if root is not None:
            written = to_lark(rules, root)
            if written is None:
                raise GrammarFailed("it matches no text at all")
            return LarkGrammar(vocabulary.lark, written)
        if kind == "structural_tag":
            return EbnfGrammar.from_tag(vocabulary.ebnf, text)
        if _is_lark(text):
            return LarkGrammar(vocabulary.lark, text)
        return EbnfGrammar.from_ebnf(vocabulary.ebnf, text)
    except GrammarFailed as failed:
        raise GrammarFailed(f"the {kind} can't be used: {failed}") from None


def read_grammar(vocabulary: Vocabulary, engine: str, serialized: bytes) -> Automaton:
    """Reads a grammar that compile_grammar has made in another process. Raises GrammarFailed."""
    if engine == LarkGrammar.engine:
        return LarkGrammar(vocabulary.lark, serialized.decode())
    return EbnfGrammar.read(vocabulary.ebnf, serialized)


def _is_lark(text: str) -> bool:
    return "::=" not in text and LARK.search(text) is not None


def _choice(text: str) -> Node:
    try:
        choices = json.loads(text)
    except ValueError as error:
        raise GrammarFailed(f"the choice is no JSON: {error}") from None
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise GrammarFailed("the choice must be a list of strings, with an entry")
    return alt(Text(choice) for choice in choices)
